"""Layer-wise decay reaches a student inside a distiller as it reaches the student alone."""

from __future__ import annotations

from typing import Any

import mmdet.engine.optimizers  # noqa: F401  registers MMDetection's constructor
import pytest
import torch
from detector_models import retinanet
from mmdet.registry import MODELS
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

import mtpd.distillation  # noqa: F401  registers the distiller

INNER = "LearningRateDecayOptimizerConstructor"


class SmallConvNeXt(nn.Module):
    """Layers under ConvNeXt's names, by which MMDetection's constructor knows their depth."""

    def __init__(self) -> None:
        super().__init__()
        self.downsample_layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(4)])
        self.stages = nn.ModuleList(
            [nn.ModuleList([nn.Linear(2, 2) for _ in range(2)]) for _ in range(4)]
        )


def rates(model: Any, prefix: str, constructor: str, **paramwise: Any) -> dict[str, float]:
    """Name → learning rate of the parameters whose names begin with ``prefix``."""
    wrapper = build_optim_wrapper(
        model,
        {
            "type": "OptimWrapper",
            "optimizer": {"type": "AdamW", "lr": 1.0},
            "constructor": constructor,
            "paramwise_cfg": paramwise,
        },
    )
    groups = wrapper.param_groups
    rate = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert {id(p) for p in model.parameters() if p.requires_grad} <= rate.keys()
    return {
        name.removeprefix(prefix): rate[id(parameter)]
        for name, parameter in model.named_parameters()
        if name.startswith(prefix)
    }


@pytest.mark.parametrize("decay", ["layer_wise", "stage_wise"])
def test_rates_fall_by_the_student_s_own_names(decay: str) -> None:
    init_default_scope("mmdet")
    student = retinanet()
    described = {"student": student, "teacher": retinanet(), "losses": [{"type": "mgd"}]}
    distiller, plain = MODELS.build({"type": "Distiller", **described}), MODELS.build(student)
    for model in (distiller.student, plain):
        model.backbone = SmallConvNeXt()
        model.level_embed = nn.Parameter(torch.zeros(2))  # as detectors of DETR's kind have
    paramwise = {"decay_rate": 0.5, "decay_type": decay, "num_layers": 6}
    alone = rates(plain, "", INNER, **paramwise)
    inside = rates(distiller, "student.", "StudentOptimWrapperConstructor", **paramwise, of=INNER)
    assert inside == alone
    assert len(set(alone.values())) > 3
    # Without it, every layer would have got the same.
    unseen = {name: rate for name, rate in alone.items() if rate == max(alone.values())}
    assert len(unseen) < len(alone)
