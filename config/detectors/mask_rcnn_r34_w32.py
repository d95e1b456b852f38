# ResNet-34 of half the usual width.
_base_ = ["./mask_rcnn_small.py"]
model = {
    "backbone": {"depth": 34, "base_channels": 32, "stem_channels": 32},
    "neck": {"in_channels": [32, 64, 128, 256]},
}
