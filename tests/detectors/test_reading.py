"""Configs that build on those that MMDetection ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtpd.detectors.reading import read_config

GFL = "mmdet::gfl/gfl_r50_fpn_1x_coco.py"


def test_a_config_builds_on_a_shipped_one(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(f'_base_ = ["{GFL}"]\nmodel = {{"backbone": {{"depth": 101}}}}\n')
    found, shipped = read_config(str(own)), read_config(GFL)
    assert found.model.backbone.depth == 101
    assert found.model.bbox_head == shipped.model.bbox_head
    transforms = [step.type for step in shipped.train_pipeline]
    assert [step.type for step in found.train_pipeline] == transforms


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text('_base_ = ["mmyolo::rtmdet/a.py"]\n')
    with pytest.raises(ModuleNotFoundError, match="mmyolo"):
        read_config(str(own))
