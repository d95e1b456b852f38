# A small Swin Transformer; its windows divide the maps of images of 96 pixels.
_base_ = ["./retinanet_small.py"]
model = {
    "backbone": {
        "_delete_": True,
        "type": "SwinTransformer",
        "embed_dims": 20,
        "depths": [2, 2, 4, 2],
        "num_heads": [2, 4, 8, 8],
        "window_size": 6,
        "drop_path_rate": 0.0,
    },
    "neck": {"in_channels": [20, 40, 80, 160], "out_channels": 48},
    "bbox_head": {"in_channels": 48, "feat_channels": 48},
}
