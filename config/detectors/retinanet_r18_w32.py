# ResNet-18 of half the usual width.
_base_ = ["./retinanet_small.py"]
model = {
    "backbone": {"base_channels": 32, "stem_channels": 32},
    "neck": {"in_channels": [32, 64, 128, 256], "out_channels": 64},
    "bbox_head": {"in_channels": 64, "feat_channels": 64},
}
