# FCOS with PyTorch's ResNet-50, as PGD's authors train it: MMDetection's zoo has it with Caffe's
# alone. Everything else is MMDetection's.
_base_ = ["mmdet::fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py"]
model = {
    "data_preprocessor": {
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
        "bgr_to_rgb": True,
    },
    "backbone": {
        "norm_cfg": {"type": "BN", "requires_grad": True},
        "style": "pytorch",
        "init_cfg": {"type": "Pretrained", "checkpoint": "torchvision://resnet50"},
    },
}
