# ResNet-18 of three sixteenths of the usual width.
_base_ = ["./retinanet_small.py"]
model = {
    "backbone": {"base_channels": 12, "stem_channels": 12},
    "neck": {"in_channels": [12, 24, 48, 96], "out_channels": 32},
    "bbox_head": {"in_channels": 32, "feat_channels": 32},
}
