# Cascade Mask R-CNN on the backbone of mask_rcnn_r34_w32: three box heads, each refining the boxes
# of the one before it and trained on those that overlap an object more.
_base_ = ["./mask_rcnn_r34_w32.py"]
box_heads = [
    {
        "type": "ConvFCBBoxHead",
        "num_shared_convs": 1,
        "num_shared_fcs": 1,
        "in_channels": 32,
        "conv_out_channels": 32,
        "norm_cfg": {"type": "BN", "requires_grad": True},
        "fc_out_channels": 128,
        "roi_feat_size": 7,
        "num_classes": 80,
        "bbox_coder": {
            "type": "DeltaXYWHBBoxCoder",
            "target_means": [0.0, 0.0, 0.0, 0.0],
            "target_stds": stds,
        },
        "reg_class_agnostic": True,
        "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0},
        "loss_bbox": {"type": "SmoothL1Loss", "beta": 1.0, "loss_weight": 1.0},
    }
    for stds in ([0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033, 0.033, 0.067, 0.067])
]
box_training = [
    {
        "assigner": {
            "type": "MaxIoUAssigner",
            "pos_iou_thr": overlap,
            "neg_iou_thr": overlap,
            "min_pos_iou": overlap,
            "match_low_quality": False,
            "ignore_iof_thr": -1,
        },
        "sampler": {
            "type": "RandomSampler",
            "num": 64,
            "pos_fraction": 0.5,
            "neg_pos_ub": -1,
            "add_gt_as_proposals": True,
        },
        "mask_size": 28,
        "pos_weight": -1,
        "debug": False,
    }
    for overlap in (0.5, 0.6, 0.7)
]
model = {
    "type": "CascadeRCNN",
    "roi_head": {
        "type": "CascadeRoIHead",
        "num_stages": 3,
        "stage_loss_weights": [1, 0.5, 0.25],
        "bbox_head": box_heads,
    },
    "train_cfg": {"rcnn": box_training},
}
