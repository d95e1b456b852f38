# RetinaNet with Swin-T: no public zoo has it at this schedule, so the workflow trains it. The model
# is MMDetection's; images, optimiser, mixed precision and 36 epochs are of its Mask R-CNN with
# Swin-T ("fp16, multi-scale crop, 3x").
_base_ = ["mmdet::swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py"]

shortest_sides = [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800]
resize = {
    "type": "RandomChoiceResize",
    "scales": [(side, 1333) for side in shortest_sides],
    "keep_ratio": True,
}
enlarge = {
    "type": "RandomChoiceResize",
    "scales": [(400, 1333), (500, 1333), (600, 1333)],
    "keep_ratio": True,
}
crop = {
    "type": "RandomCrop",
    "crop_type": "absolute_range",
    "crop_size": (384, 600),
    "allow_negative_crop": True,
}
train_pipeline = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "RandomChoice", "transforms": [[resize], [enlarge, crop, resize]]},
    {"type": "PackDetInputs"},
]
train_dataloader = {"dataset": {"pipeline": train_pipeline}}

train_cfg = {"max_epochs": 36}
param_scheduler = [
    {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 1000},
    {"type": "MultiStepLR", "begin": 0, "end": 36, "milestones": [27, 33], "gamma": 0.1},
]
optim_wrapper = {
    "type": "AmpOptimWrapper",
    "optimizer": {
        "_delete_": True,
        "type": "AdamW",
        "lr": 0.0001,
        "betas": (0.9, 0.999),
        "weight_decay": 0.05,
    },
    # Norms and position biases are no weights to be decayed.
    "paramwise_cfg": {
        "custom_keys": {
            "absolute_pos_embed": {"decay_mult": 0.0},
            "relative_position_bias_table": {"decay_mult": 0.0},
            "norm": {"decay_mult": 0.0},
        }
    },
}
