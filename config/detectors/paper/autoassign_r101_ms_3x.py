# PGD's teacher: ResNet-101, three times the usual schedule, images of several sizes. The paper
# names the schedule; the range of sizes and the steps are those of MMDetection's own 3x recipe.
_base_ = ["./autoassign_r50_1x.py"]
model = {
    "backbone": {
        "depth": 101,
        "init_cfg": {"type": "Pretrained", "checkpoint": "torchvision://resnet101"},
    },
}
train_pipeline = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "RandomResize", "scale": [(1333, 640), (1333, 800)], "keep_ratio": True},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PackDetInputs"},
]
train_dataloader = {"dataset": {"pipeline": train_pipeline}}
train_cfg = {"max_epochs": 36}
param_scheduler = [
    {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 1000},
    {"type": "MultiStepLR", "begin": 0, "end": 36, "milestones": [27, 33], "gamma": 0.1},
]
