# The student: ResNet-18 of an eighth of the usual width.
_base_ = ["./retinanet_small.py"]
model = {
    "backbone": {"base_channels": 8, "stem_channels": 8},
    "neck": {"in_channels": [8, 16, 32, 64], "out_channels": 24},
    "bbox_head": {"in_channels": 24, "feat_channels": 24},
}
