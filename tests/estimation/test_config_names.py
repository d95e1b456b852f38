"""What a config's name says."""

from __future__ import annotations

import pytest

from mtpd.estimation.config_names import ConfigName

FAMILIES = ["rcnn", "mask-rcnn", "cascade-mask-rcnn", "retinanet"]
BACKBONES = ["r50", "r101", "x101", "x101-64x4d", "swin-t"]


@pytest.mark.parametrize(
    ("config", "detector", "backbone", "epochs", "batch", "amp", "deformable"),
    [
        ("mmdet::retinanet/retinanet_r50_fpn_1x_coco.py", "retinanet", "r50", 12, 2, False, False),
        (
            "mmdet::dcn/cascade-mask-rcnn_x101-32x4d-dconv-c3-c5_fpn_20e_coco.py",
            *("cascade-mask-rcnn", "x101", 20, 2, False, True),
        ),
        (
            "mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_amp-ms-crop-3x_coco.py",
            *("mask-rcnn", "swin-t", 36, 2, True, False),
        ),
        (
            "mmdet::retinanet/retinanet_x101-64x4d_fpn_ms-640-800-3x_coco.py",
            *("retinanet", "x101-64x4d", 36, 2, False, False),
        ),
        ("/a/retinanet_r18_fpn_1xb8-1x_coco.py", "retinanet", None, 12, 8, False, False),
        ("own.py", None, None, 12, 2, False, False),
    ],
)
def test_names_of_mmdetection(
    config: str,
    detector: str | None,
    backbone: str | None,
    epochs: int,
    batch: int,
    amp: bool,
    deformable: bool,
) -> None:
    name = ConfigName.of(config)
    assert name.first_of(FAMILIES) == detector
    assert name.first_of(BACKBONES) == backbone
    assert (name.epochs, name.batch_size) == (epochs, batch)
    assert (name.amp, name.is_deformable) == (amp, deformable)


def test_width_of_a_small_detector() -> None:
    assert ConfigName.of("config/detectors/mask_rcnn_r34_w32.py").width == 0.5
    assert ConfigName.of("mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py").width == 1
