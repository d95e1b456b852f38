"""A step of distillation on the CPU and, where there is one, on a GPU: the same figures."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from detector_models import batch, retinanet, retinanet_of_width
from loss_inputs import loss_of, student_features, teacher_features, tensors, truth
from mmdet.registry import MODELS
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mtpd.distillation import Distiller
from mtpd.distillation.features import Features, GroundTruth, Predictions

without = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.cuda, without])]

# Without MGD, which draws its masks on the device, and devices draw differently; and without PKD,
# which compares like channels.
LOSSES = [
    {"type": "feature_matching"},
    {"type": "cwd"},
    {"type": "fgd"},
    {"type": "pgd"},
    {"type": "ld"},
    {"type": "bckd"},
]


def moved(value: Any, device: str) -> Any:
    """Features or ground truth with all their tensors on the device, in float32."""
    if isinstance(value, torch.Tensor):
        value = value.detach().to(device)
        return value.float().requires_grad_() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(moved(part, device) for part in value)
    if isinstance(value, (Features, GroundTruth, Predictions)):
        parts = {f.name: moved(getattr(value, f.name), device) for f in fields(value)}
        return replace(value, **parts)
    return value


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("settings", LOSSES, ids=lambda settings: settings["type"])
def test_losses_and_gradients_are_those_of_float64_on_the_cpu(
    settings: dict[str, Any], device: str
) -> None:
    found, gradients = [], []
    for place in ("reference", device):
        loss, student = loss_of(settings), student_features()
        teacher, boxes = teacher_features(), truth()
        if place != "reference":
            loss = loss.float().to(device)
            student, teacher, boxes = (moved(v, device) for v in (student, teacher, boxes))
        value = loss(student, teacher, boxes)
        value.backward()
        found.append(value.double().item())
        leaves = [*tensors(student), *student.distributions]
        gradients.append([g.grad.double().cpu() for g in leaves if g.grad is not None])
    assert found[1] == pytest.approx(found[0], rel=1e-4)
    for reference, own in zip(*gradients, strict=True):
        torch.testing.assert_close(own, reference, rtol=1e-3, atol=1e-5 * reference.abs().max())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("amp", [False, True], ids=["float32", "mixed precision"])
def test_a_step_moves_the_student_and_never_the_teacher(
    device: str, precision: str, amp: bool
) -> None:
    init_default_scope("mmdet")
    torch.manual_seed(0)
    model: Distiller = MODELS.build(
        {
            "type": "Distiller",
            "student": retinanet(),
            "teacher": retinanet_of_width(48),
            "losses": [{"type": kind} for kind in ("feature_matching", "cwd", "mgd", "fgd")],
            "teacher_precision": precision,
        }
    ).to(device)
    model.train()
    kind = "AmpOptimWrapper" if amp and device == "cuda" else "OptimWrapper"
    optimiser = {"type": "SGD", "lr": 1e-3}
    wrapper = build_optim_wrapper(model, {"type": kind, "optimizer": optimiser})
    before = values_of(model.student), values_of(model.teacher), values_of(model.losses)
    with torch.autocast(device, torch.bfloat16, enabled=amp and device == "cpu"):
        found = model.train_step(batch(), wrapper)
    assert all(torch.isfinite(value) for value in found.values())
    assert {value.device.type for value in found.values()} == {device}
    assert changed(before[0], model.student)
    assert not changed(before[1], model.teacher)
    assert changed(before[2], model.losses)


def values_of(module: nn.Module) -> list[torch.Tensor]:
    """Copies of the parameters."""
    return [parameter.detach().clone() for parameter in module.parameters()]


def changed(before: list[torch.Tensor], module: nn.Module) -> bool:
    """Whether any parameter has another value."""
    pairs = zip(before, module.parameters(), strict=True)
    return any(not torch.equal(one, other) for one, other in pairs)
