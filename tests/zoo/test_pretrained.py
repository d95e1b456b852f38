"""The published weights that parts of a detector start from, by MMEngine's names for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from mtpd.detectors.sources import config_file
from mtpd.errors import UserError
from mtpd.settings.runtime import Zoo
from mtpd.zoo.pretrained import pretrained_files, remote_of, use_cached


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("torchvision://resnet50", "resnet50-0676ba61.pth"),
        ("open-mmlab://detectron2/resnet50_caffe", "resnet50_msra-5891d200.pth"),
        ("open-mmlab://resnet50_caffe", "resnet50_caffe-788b5fa3.pth"),  # by its former name
        ("https://a.example/swin-0123abcd.pth", "swin-0123abcd.pth"),
    ],
)
def test_names_of_mmengine_are_files(address: str, file: str) -> None:
    remote = remote_of(address)
    assert remote.url.startswith("https://")
    assert remote.file == file
    assert remote.sha256 == file[-12:-4]


@pytest.mark.parametrize("address", ["torchvision://resnet5O", "open-mmlab://x", "mmcls://x"])
def test_a_name_that_mmengine_does_not_know_is_one_line(address: str) -> None:
    with pytest.raises(UserError, match="MMEngine does not know these weights"):
        remote_of(address)


@pytest.mark.parametrize(
    ("config", "addresses"),
    [
        ("retinanet/retinanet_r50_fpn_1x_coco.py", ["torchvision://resnet50"]),
        ("retinanet/retinanet_x101-64x4d_fpn_1x_coco.py", ["open-mmlab://resnext101_64x4d"]),
        ("detectors/detectors_htc-r50_1x_coco.py", ["torchvision://resnet50"]),
        (
            "swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py",
            [
                "https://github.com/SwinTransformer/storage/releases/download/v1.0.0/"
                "swin_tiny_patch4_window7_224.pth"
            ],
        ),
    ],
)
def test_configs_of_mmdetection(tmp_path: Path, config: str, addresses: list[str]) -> None:
    model = Config.fromfile(config_file(f"mmdet::{config}")).model
    found = pretrained_files(model)
    assert list(found) == addresses
    zoo = Zoo(cache=tmp_path)
    use_cached(model, zoo)
    assert list(pretrained_files(model)) == addresses  # the cache has none: MMEngine's matter
    path = found[addresses[0]].path(zoo)
    path.touch()
    use_cached(model, zoo)
    assert not pretrained_files(model)
    assert str(path) in repr(model)
    assert addresses[0] not in repr(model)


def test_a_classifier_gives_its_backbone(tmp_path: Path) -> None:
    model: dict[str, Any] = {"backbone": {"init_cfg": {"checkpoint": "mmcls://vgg16"}}}
    zoo = Zoo(cache=tmp_path)
    path = remote_of("mmcls://vgg16").path(zoo)
    path.touch()
    use_cached(model, zoo)
    assert model["backbone"]["init_cfg"] == {"checkpoint": str(path), "prefix": "backbone."}


def test_what_is_no_address_stays(tmp_path: Path) -> None:
    model = {"a": [{"pretrained": True}, {"checkpoint": "own.pth"}], "b": "torchvision://resnet50"}
    before = repr(model)
    use_cached(model, Zoo(cache=tmp_path))
    assert repr(model) == before
    assert not pretrained_files(model)
