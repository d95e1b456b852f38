"""What the ``inherit`` start copies."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from mtpd.data.dataset import Dataset
from mtpd.detectors.own_config import base_config
from mtpd.distillation.start import inherit
from mtpd.settings.experiment import Detector


def state(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {name.replace("__", "."): torch.rand(shape) for name, shape in shapes.items()}


def test_neck_and_head_where_names_and_shapes_agree() -> None:
    student = state(backbone__w=(2,), neck__w=(3,), bbox_head__w=(4,), bbox_head__b=(5,))
    teacher = state(backbone__w=(2,), neck__w=(3,), bbox_head__w=(9,))
    taken = inherit(student, teacher)
    assert taken.copied == ("neck.w",)
    assert torch.equal(taken.state["neck.w"], teacher["neck.w"])
    assert set(taken.left) == {"bbox_head.w", "bbox_head.b"}
    assert "(9,)" in taken.left["bbox_head.w"]


def test_a_module_is_copied_whole_or_not_at_all() -> None:
    student = state(bbox_head__a__weight=(4, 2), bbox_head__a__bias=(4,), bbox_head__b__bias=(4,))
    teacher = state(bbox_head__a__weight=(4, 9), bbox_head__a__bias=(4,), bbox_head__b__bias=(4,))
    taken = inherit(student, teacher)
    assert taken.copied == ("bbox_head.b.bias",)
    assert taken.left["bbox_head.a.bias"] == "nor is bbox_head.a.weight of the same module"


def test_a_cascade_gives_its_first_stage_repeated_for_every_class() -> None:
    name = "roi_head.bbox_head.fc_reg"
    agnostic, aware = nn.Linear(6, 4), nn.Linear(6, 12)
    teacher = {
        "roi_head.bbox_head.0.fc_reg.weight": agnostic.weight,
        "roi_head.bbox_head.0.fc_reg.bias": agnostic.bias,
        "roi_head.bbox_head.1.fc_reg.weight": torch.zeros(4, 6),
    }
    student = {f"{name}.weight": aware.weight, f"{name}.bias": aware.bias}
    taken = inherit(student, teacher)
    aware.load_state_dict({key.rpartition(".")[2]: value for key, value in taken.state.items()})
    features = torch.rand(5, 6)
    # Every class gets the box that the class-agnostic head gives.
    expected = agnostic(features)[:, None].expand(5, 3, 4)
    torch.testing.assert_close(aware(features).view(5, 3, 4), expected)


def shipped_state(config: str, classes: int) -> dict[str, Any]:
    """State of a detector as MMDetection ships it, for so many classes; shapes without values."""
    init_default_scope("mmdet")
    dataset = Dataset(tuple(f"class {index}" for index in range(classes)), True, {})
    found = base_config("detector", Detector(config=f"mmdet::{config}"), dataset)
    with torch.device("meta"):
        state: dict[str, Any] = MODELS.build(found.model).state_dict()
    return state


@pytest.mark.parametrize("classes", [1, 6, 80])
@pytest.mark.parametrize(
    "teacher",
    [
        "dcn/cascade-mask-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py",
        "htc/htc_r50_fpn_1x_coco.py",
        "detectors/detectors_htc-r50_1x_coco.py",
    ],
)
def test_mask_rcnn_gets_neck_and_all_heads_of_a_cascade(teacher: str, classes: int) -> None:
    student = shipped_state("mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", classes)
    taken = inherit(student, shipped_state(teacher, classes))
    assert taken.left == {}
    parts = {name.partition(".")[0] for name in taken.copied}
    assert parts == {"neck", "rpn_head", "roi_head"}
    assert taken.state["roi_head.bbox_head.fc_reg.weight"].shape == (4 * classes, 1024)
    for name, value in taken.state.items():
        assert value.shape == student[name].shape


def test_faster_rcnn_gets_them_from_a_cascade_without_masks() -> None:
    student = shipped_state("faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", 6)
    teacher = shipped_state("cascade_rcnn/cascade-rcnn_r101_fpn_1x_coco.py", 6)
    assert inherit(student, teacher).left == {}
