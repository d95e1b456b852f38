# DDOD on CrowdHuman, as PGD's authors train the student: images of 1400x800, up to 500 detections
# of an image, nothing of the backbone frozen but its normalisation, and a wider share of anchors
# for the boxes. Everything else is MMDetection's DDOD.
_base_ = ["mmdet::ddod/ddod_r50_fpn_1x_coco.py"]
model = {
    "backbone": {"frozen_stages": -1, "norm_cfg": {"type": "BN", "requires_grad": False}},
    "train_cfg": {"reg_assigner": {"alpha": 0.6}},
    "test_cfg": {"max_per_img": 500},
}
train_pipeline = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "Resize", "scale": (1400, 800), "keep_ratio": True},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PackDetInputs"},
]
test_pipeline = [
    {"type": "LoadImageFromFile"},
    {"type": "Resize", "scale": (1400, 800), "keep_ratio": True},
    {
        "type": "PackDetInputs",
        "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    },
]
train_dataloader = {"dataset": {"pipeline": train_pipeline}}
test_dataloader = {"dataset": {"pipeline": test_pipeline}}
