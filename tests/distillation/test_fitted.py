"""Adapters that start as fitted maps, against least squares by NumPy and against random ones."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from detector_models import batch, retinanet, retinanet_of_width
from micro import MICRO, changed
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from mtpd.distillation import Distiller, FitAdaptersHook
from mtpd.distillation.fitted import RIDGE, MapFit, start_from
from mtpd.errors import UserError
from mtpd.experiment.load import check_experiment


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope("mmdet")
    torch.manual_seed(0)


def distiller(*losses: str, width: int = 48) -> Distiller:
    return MODELS.build(
        {
            "type": "Distiller",
            "student": retinanet(),
            "teacher": retinanet_of_width(width),
            "losses": [{"type": loss} for loss in losses],
        }
    )


def test_a_map_is_ridge_regression() -> None:
    """Over all positions of all batches, about the means, the ridge relative to the variance."""
    generator = np.random.default_rng(0)
    student = generator.normal(2.0, 3.0, (6, 4, 5, 5))
    truth = generator.normal(size=(7, 4))
    teacher = np.einsum("dc,nchw->ndhw", truth, student) - 1.0 + generator.normal(size=(6, 7, 5, 5))
    fit = MapFit()
    for start in (0, 4):
        fit.add(*(torch.tensor(maps[start : start + 4]) for maps in (student, teacher)))
    convolution = nn.Conv2d(4, 7, 1)
    missed = start_from(convolution, fit)

    x, y = (np.moveaxis(maps, 1, -1).reshape(-1, maps.shape[1]) for maps in (student, teacher))
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - x_mean
    ridge = np.sqrt(RIDGE * centred.var(axis=0).mean() * len(x)) * np.eye(4)
    rows = np.vstack([centred, ridge])
    wanted = np.linalg.lstsq(rows, np.vstack([y - y_mean, np.zeros((4, 7))]), rcond=None)[0].T
    np.testing.assert_allclose(convolution.weight.detach()[:, :, 0, 0], wanted, rtol=1e-5)
    bias = y_mean - wanted @ x_mean
    np.testing.assert_allclose(convolution.bias.detach(), bias, rtol=1e-5)
    error = np.square(y - x @ wanted.T - bias).sum() / np.square(y - y_mean).sum()
    assert missed == pytest.approx(error)
    assert 0 < missed < 0.2


def test_a_constant_map_leaves_the_convolution_as_it_is() -> None:
    fit, convolution = MapFit(), nn.Conv2d(2, 3, 1)
    before = convolution.weight.clone()
    fit.add(torch.full((2, 2, 4, 4), 0.3), torch.rand(2, 3, 4, 4))
    assert start_from(convolution, fit) is None
    assert torch.equal(convolution.weight, before)


def test_maps_of_other_grids_are_resized() -> None:
    """A 1×1 convolution and bilinear resizing may change places."""
    fine, target = torch.rand(3, 2, 8, 8), torch.rand(3, 5, 4, 4)
    resized = nn.functional.interpolate(fine, size=(4, 4), mode="bilinear", align_corners=False)
    found = []
    for student in (fine, resized):
        fit, convolution = MapFit(), nn.Conv2d(2, 5, 1)
        fit.add(student, target)
        start_from(convolution, fit)
        found.append(convolution.weight)
    assert torch.allclose(*found)


def test_the_first_loss_is_smaller_and_the_student_is_as_it_was() -> None:
    model = distiller("feature_matching", "cwd", "mgd", "fgd")
    before = copy.deepcopy(model.student.state_dict())
    random = first_losses(model)
    missed = model.fit_adapters([batch(), batch()], images=3)
    strides = list(model.pair.strides)
    losses = ("feature_matching", "cwd", "mgd", "fgd")
    assert {loss: list(levels) for loss, levels in missed.items()} == dict.fromkeys(losses, strides)
    shares = [float(share) for levels in missed.values() for share in levels.values()]
    assert all(0 <= share < 1 for share in shares)
    assert model.student.training
    assert all(torch.equal(before[key], now) for key, now in model.student.state_dict().items())
    fitted = first_losses(model)
    assert fitted["loss_distill_feature_matching"] < 0.8 * random["loss_distill_feature_matching"]


def first_losses(model: Distiller) -> dict[str, float]:
    data = model.data_preprocessor(batch(), True)
    before = copy.deepcopy(model.student.state_dict())
    with torch.no_grad():
        losses = model(data["inputs"], data["data_samples"], mode="loss")
    model.student.load_state_dict(before)
    return {name: float(loss) for name, loss in losses.items() if "distill" in name}


def test_it_stops_when_it_has_seen_enough() -> None:
    batches = iter([batch(), batch(), batch()])
    size = len(batch()["inputs"])
    distiller("cwd").fit_adapters(batches, images=size + 1)
    assert len(list(batches)) == 1


def test_equal_channels_are_said() -> None:
    model = distiller("cwd", width=32)
    own = model.pair.student.channels
    assert own == model.pair.teacher.channels
    assert set(model.fit_adapters([batch()], 1)["cwd"].values()) == {"none, as channels agree"}


@pytest.mark.parametrize(("iteration", "calls"), [(0, 1), (5, 0)])
def test_a_resumed_stage_keeps_its_adapters(iteration: int, calls: int) -> None:
    seen: list[Any] = []
    model = SimpleNamespace(fit_adapters=lambda *given: seen.append(given) or {})
    loop = SimpleNamespace(dataloader="batches")
    runner = SimpleNamespace(iter=iteration, model=model, train_loop=loop)
    FitAdaptersHook().before_train(runner)
    assert len(seen) == calls


def test_it_is_refused_where_no_loss_has_an_adapter() -> None:
    settings = changed(
        MICRO, ("methods.fm.losses", [{"type": "pgd"}]), ("methods.fm.adapters", "fitted")
    )
    with pytest.raises(UserError, match=r"methods\.fm\.adapters: fitted is for losses between"):
        check_experiment(Path("micro.yaml"), settings)
