# PGD's teacher: ResNet-101, three times the usual schedule, images of several sizes; sizes, steps
# and frozen normalisation as in the authors' release, whose teachers clip no gradients.
_base_ = ["mmdet::atss/atss_r50_fpn_1x_coco.py"]
model = {
    "backbone": {
        "depth": 101,
        "norm_cfg": {"type": "BN", "requires_grad": False},
        "init_cfg": {"type": "Pretrained", "checkpoint": "torchvision://resnet101"},
    },
}
train_pipeline = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "RandomResize", "scale": [(1333, 480), (1333, 960)], "keep_ratio": True},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PackDetInputs"},
]
train_dataloader = {"dataset": {"pipeline": train_pipeline}}
train_cfg = {"max_epochs": 36}
param_scheduler = [
    {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 500},
    {"type": "MultiStepLR", "begin": 0, "end": 36, "milestones": [24, 33], "gamma": 0.1},
]
