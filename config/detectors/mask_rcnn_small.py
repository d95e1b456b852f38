# Mask R-CNN for small images, trained from scratch in minutes on a CPU: batch norm in neck, box
# and mask head, anchors from 16 pixels on, and few proposals, up to half of the samples positive.
# The configs beside it change its backbone. Neck and heads are equally wide in all of them, so that
# a student can inherit its teacher's.
norm_cfg = {"type": "BN", "requires_grad": True}
box_coder = {
    "type": "DeltaXYWHBBoxCoder",
    "target_means": [0.0, 0.0, 0.0, 0.0],
    "target_stds": [1.0, 1.0, 1.0, 1.0],
}
sampler = {"type": "RandomSampler", "pos_fraction": 0.5, "neg_pos_ub": -1}
proposals = {
    "nms_pre": 200,
    "max_per_img": 200,
    "nms": {"type": "nms", "iou_threshold": 0.7},
    "min_bbox_size": 0,
}
model = {
    "type": "MaskRCNN",
    "data_preprocessor": {
        "type": "DetDataPreprocessor",
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
        "bgr_to_rgb": True,
        "pad_mask": True,
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
        "num_outs": 4,
        "norm_cfg": norm_cfg,
    },
    "rpn_head": {
        "type": "RPNHead",
        "in_channels": 32,
        "feat_channels": 32,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "scales": [4],
            "ratios": [0.5, 1.0, 2.0],
            "strides": [4, 8, 16, 32],
        },
        "bbox_coder": box_coder,
        "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0},
        "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
    },
    "roi_head": {
        "type": "StandardRoIHead",
        "bbox_roi_extractor": {
            "type": "SingleRoIExtractor",
            "roi_layer": {"type": "RoIAlign", "output_size": 7, "sampling_ratio": 1},
            "out_channels": 32,
            "featmap_strides": [4, 8, 16, 32],
            "finest_scale": 28,
        },
        "bbox_head": {
            "type": "ConvFCBBoxHead",
            "num_shared_convs": 1,
            "num_shared_fcs": 1,
            "in_channels": 32,
            "conv_out_channels": 32,
            "fc_out_channels": 128,
            "norm_cfg": norm_cfg,
            "roi_feat_size": 7,
            "num_classes": 80,
            "bbox_coder": {**box_coder, "target_stds": [0.1, 0.1, 0.2, 0.2]},
            "reg_class_agnostic": True,
            "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0},
            "loss_bbox": {"type": "SmoothL1Loss", "beta": 1.0, "loss_weight": 1.0},
        },
        "mask_roi_extractor": {
            "type": "SingleRoIExtractor",
            "roi_layer": {"type": "RoIAlign", "output_size": 14, "sampling_ratio": 1},
            "out_channels": 32,
            "featmap_strides": [4, 8, 16, 32],
            "finest_scale": 28,
        },
        "mask_head": {
            "type": "FCNMaskHead",
            "num_convs": 2,
            "in_channels": 32,
            "conv_out_channels": 32,
            "num_classes": 80,
            "norm_cfg": norm_cfg,
            "loss_mask": {"type": "CrossEntropyLoss", "use_mask": True, "loss_weight": 1.0},
        },
    },
    "train_cfg": {
        "rpn": {
            "assigner": {
                "type": "MaxIoUAssigner",
                "pos_iou_thr": 0.7,
                "neg_iou_thr": 0.3,
                "min_pos_iou": 0.3,
                "match_low_quality": True,
                "ignore_iof_thr": -1,
            },
            "sampler": {**sampler, "num": 128, "add_gt_as_proposals": False},
            "allowed_border": -1,
            "pos_weight": -1,
            "debug": False,
        },
        "rpn_proposal": proposals,
        "rcnn": {
            "assigner": {
                "type": "MaxIoUAssigner",
                "pos_iou_thr": 0.5,
                "neg_iou_thr": 0.5,
                "min_pos_iou": 0.5,
                "match_low_quality": True,
                "ignore_iof_thr": -1,
            },
            "sampler": {**sampler, "num": 64, "add_gt_as_proposals": True},
            "mask_size": 28,
            "pos_weight": -1,
            "debug": False,
        },
    },
    "test_cfg": {
        "rpn": proposals,
        "rcnn": {
            "score_thr": 0.05,
            "nms": {"type": "nms", "iou_threshold": 0.5},
            "max_per_img": 100,
            "mask_thr_binary": 0.5,
        },
    },
}
