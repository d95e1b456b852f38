# A RegNetX of ten blocks.
_base_ = ["./retinanet_small.py"]
model = {
    "backbone": {
        "_delete_": True,
        "type": "RegNet",
        "arch": {"w0": 16, "wa": 20.0, "wm": 2.5, "group_w": 8, "depth": 10, "bot_mul": 1.0},
        "norm_eval": False,
        "frozen_stages": -1,
    },
    "neck": {"in_channels": [16, 40, 96, 248]},
}
