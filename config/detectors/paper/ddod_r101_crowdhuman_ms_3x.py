# PGD's teacher on CrowdHuman: ResNet-101, 36 epochs, images of several sizes.
_base_ = ["./ddod_r50_crowdhuman_1x.py"]
model = {
    "backbone": {
        "depth": 101,
        "init_cfg": {"type": "Pretrained", "checkpoint": "torchvision://resnet101"},
    },
}
train_pipeline = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "RandomResize", "scale": [(1400, 480), (1400, 960)], "keep_ratio": True},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PackDetInputs"},
]
train_dataloader = {"dataset": {"pipeline": train_pipeline}}
train_cfg = {"max_epochs": 36}
param_scheduler = [
    {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 500},
    {"type": "MultiStepLR", "begin": 0, "end": 36, "milestones": [24, 33], "gamma": 0.1},
]
