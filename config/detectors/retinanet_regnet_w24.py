# A small RegNetX under a narrow RetinaNet.
_base_ = ["./retinanet_small.py"]
model = {
    "backbone": {
        "_delete_": True,
        "type": "RegNet",
        "arch": {"w0": 24, "wa": 36.0, "wm": 2.5, "group_w": 8, "depth": 13, "bot_mul": 1.0},
        "norm_eval": False,
        "frozen_stages": -1,
    },
    "neck": {"in_channels": [24, 64, 152, 376], "out_channels": 48},
    "bbox_head": {"in_channels": 48, "feat_channels": 48},
}
