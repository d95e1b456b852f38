# GFL for small images, trained from scratch in minutes on a CPU; see retinanet_small.py.
# The configs beside it change its backbone.
_base_ = ["./retinanet_small.py"]
norm_cfg = {"type": "BN", "requires_grad": True}
model = {
    "type": "GFL",
    "bbox_head": {
        "_delete_": True,
        "type": "GFLHead",
        "num_classes": 80,
        "in_channels": 32,
        "feat_channels": 32,
        "stacked_convs": 2,
        "norm_cfg": norm_cfg,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "octave_base_scale": 4,
            "scales_per_octave": 1,
            "ratios": [1.0],
            "strides": [8, 16, 32, 64],
        },
        "loss_cls": {
            "type": "QualityFocalLoss",
            "use_sigmoid": True,
            "beta": 2.0,
            "loss_weight": 1.0,
        },
        "loss_dfl": {"type": "DistributionFocalLoss", "loss_weight": 0.25},
        "reg_max": 8,
        "loss_bbox": {"type": "GIoULoss", "loss_weight": 2.0},
    },
    "train_cfg": {
        "_delete_": True,
        "assigner": {"type": "ATSSAssigner", "topk": 9},
        "allowed_border": -1,
        "pos_weight": -1,
        "debug": False,
    },
    "test_cfg": {"nms": {"type": "nms", "iou_threshold": 0.6}},
}
