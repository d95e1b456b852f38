# RetinaNet for small images, trained from scratch in minutes on a CPU: batch norm in neck and head
# (without it, so short a schedule learns next to nothing), and anchors from 16 pixels on.
# The configs beside it change its backbone and widths.
norm_cfg = {"type": "BN", "requires_grad": True}
model = {
    "type": "RetinaNet",
    "data_preprocessor": {
        "type": "DetDataPreprocessor",
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
        "bgr_to_rgb": True,
        "pad_size_divisor": 32,
    },
    "backbone": {
        "type": "ResNet",
        "depth": 18,
        "base_channels": 16,
        "stem_channels": 16,
        "norm_cfg": norm_cfg,
        "norm_eval": False,
        "frozen_stages": -1,
    },
    "neck": {
        "type": "FPN",
        "in_channels": [16, 32, 64, 128],
        "out_channels": 32,
        "start_level": 1,
        "add_extra_convs": "on_output",
        "num_outs": 4,
        "norm_cfg": norm_cfg,
    },
    "bbox_head": {
        "type": "RetinaHead",
        "num_classes": 80,
        "in_channels": 32,
        "feat_channels": 32,
        "stacked_convs": 2,
        "norm_cfg": norm_cfg,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "octave_base_scale": 2,
            "scales_per_octave": 3,
            "ratios": [1.0],
            "strides": [8, 16, 32, 64],
        },
        "bbox_coder": {
            "type": "DeltaXYWHBBoxCoder",
            "target_means": [0.0, 0.0, 0.0, 0.0],
            "target_stds": [1.0, 1.0, 1.0, 1.0],
        },
        "loss_cls": {
            "type": "FocalLoss",
            "use_sigmoid": True,
            "gamma": 2.0,
            "alpha": 0.25,
            "loss_weight": 1.0,
        },
        "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
    },
    "train_cfg": {
        "assigner": {
            "type": "MaxIoUAssigner",
            "pos_iou_thr": 0.5,
            "neg_iou_thr": 0.4,
            "min_pos_iou": 0,
            "ignore_iof_thr": -1,
        },
        "sampler": {"type": "PseudoSampler"},
        "allowed_border": -1,
        "pos_weight": -1,
        "debug": False,
    },
    "test_cfg": {
        "nms_pre": 1000,
        "min_bbox_size": 0,
        "score_thr": 0.05,
        "nms": {"type": "nms", "iou_threshold": 0.5},
        "max_per_img": 100,
    },
}
