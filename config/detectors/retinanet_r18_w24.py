# ResNet-18 of three eighths of the usual width.
_base_ = ["./retinanet_small.py"]
model = {
    "backbone": {"base_channels": 24, "stem_channels": 24},
    "neck": {"in_channels": [24, 48, 96, 192], "out_channels": 48},
    "bbox_head": {"in_channels": 48, "feat_channels": 48},
}
