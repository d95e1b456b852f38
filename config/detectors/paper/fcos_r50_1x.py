# FCOS with PyTorch's ResNet-50, as PGD's authors train it: MMDetection's zoo has it with Caffe's
# alone. Loss, suppression, optimiser and warm-up are those of their release.
_base_ = ["mmdet::fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py"]
model = {
    "data_preprocessor": {
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
        "bgr_to_rgb": True,
    },
    "backbone": {
        "norm_cfg": {"type": "BN", "requires_grad": False},
        "style": "pytorch",
        "init_cfg": {"type": "Pretrained", "checkpoint": "torchvision://resnet50"},
    },
    "bbox_head": {"loss_bbox": {"type": "IoULoss"}},
    "test_cfg": {"nms": {"iou_threshold": 0.5}},
}
optim_wrapper = {
    "paramwise_cfg": {"_delete_": True},
    "clip_grad": {"_delete_": True, "max_norm": 35, "norm_type": 2},
}
param_scheduler = [
    {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 500},
    {"type": "MultiStepLR", "begin": 0, "end": 12, "milestones": [8, 11], "gamma": 0.1},
]
