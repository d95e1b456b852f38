"""What the ``inherit`` start copies."""

from __future__ import annotations

import torch
from torch import nn

from mtpd.distillation.start import inherit


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
