# RetinaNet with Swin-S: as retinanet_swin_t_ms_crop_3x.py, three times as deep in the third stage.
_base_ = ["./retinanet_swin_t_ms_crop_3x.py"]
pretrained = (
    "https://github.com/SwinTransformer/storage/releases/download/v1.0.0/"
    "swin_small_patch4_window7_224.pth"
)
model = {
    "backbone": {
        "depths": [2, 2, 18, 2],
        "init_cfg": {"type": "Pretrained", "checkpoint": pretrained},
    }
}
