# ResNet-18 of half the usual width; neck and head as the student's, so that it can inherit them.
_base_ = ["./gfl_small.py"]
model = {
    "backbone": {"base_channels": 32, "stem_channels": 32},
    "neck": {"in_channels": [32, 64, 128, 256]},
}
