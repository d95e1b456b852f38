# CSPDarknet of a quarter of the usual width, as in YOLOX-Nano, under a narrow RetinaNet.
_base_ = ["./retinanet_small.py"]
model = {
    "backbone": {
        "_delete_": True,
        "type": "CSPDarknet",
        "deepen_factor": 0.33,
        "widen_factor": 0.25,
        "out_indices": (1, 2, 3, 4),
    },
    "neck": {"in_channels": [32, 64, 128, 256], "out_channels": 48},
    "bbox_head": {"in_channels": 48, "feat_channels": 48},
}
