"""Adapters that start as the linear map which fits best, in place of a random one.

A stage's adapters are new. At random, they send the student a gradient that means little until
they have learned the map; a 1×1 convolution's best start is known in closed form, as for the
adaptation costs (:mod:`mtpd.selection.costs`).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import HOOKS
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

RIDGE = 1e-2
"""Relative to the mean variance of the student's channels, as for the adaptation costs."""

IMAGES = 256
"""That the maps are fitted on, at least; all there are if they are fewer."""


class MapFit:
    """Ridge regression from the student's map of a level to the teacher's, summed over batches."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None
        self._channels = 0

    def add(self, student: Tensor, teacher: Tensor) -> None:
        """Add maps (N, C, H, W) of both; where the grids differ, the student's is resized."""
        if student.shape[-2:] != teacher.shape[-2:]:
            size = teacher.shape[-2:]
            student = F.interpolate(student, size=size, mode="bilinear", align_corners=False)
        self._channels = student.shape[1]
        both = torch.cat([student, teacher], dim=1).double()
        rows = both.permute(0, 2, 3, 1).flatten(0, 2)
        rows = torch.cat([torch.ones_like(rows[:, :1]), rows], dim=1)
        products = rows.T @ rows
        self._sums = products if self._sums is None else self._sums + products

    def solved(self) -> tuple[Tensor, Tensor, float] | None:
        """Weight (teacher's C, student's C), bias (teacher's C) and the share of variance missed.

        Of all processes together. None if the student's map is the same everywhere.
        """
        assert self._sums is not None, "no maps were added"
        all_reduce(self._sums)
        means = self._sums[0, 1:] / self._sums[0, 0]
        covariance = self._sums[1:, 1:] / self._sums[0, 0] - torch.outer(means, means)
        own = self._channels
        spread = covariance[:own, :own].trace()
        if not spread > 1e-12 * means[:own].square().sum():
            return None
        ridge = RIDGE * spread / own * torch.eye(own, dtype=means.dtype, device=means.device)
        between, others = covariance[:own, own:], covariance[own:, own:].trace()
        weight = torch.linalg.solve(covariance[:own, :own] + ridge, between).T
        error = others - 2 * (weight.T * between).sum()
        error += (weight @ covariance[:own, :own] * weight).sum()
        missed = float(error / others) if others > 0 else 0.0
        return weight, means[own:] - weight @ means[:own], missed


@torch.no_grad()
def start_from(convolution: nn.Conv2d, fit: MapFit) -> float | None:
    """Give a 1×1 ``convolution`` the fitted map; returns the share of variance that it misses."""
    solved = fit.solved()
    if solved is None:
        return None
    weight, bias, missed = solved
    assert convolution.bias is not None, "adapters have a bias"
    convolution.weight.copy_(weight[:, :, None, None])
    convolution.bias.copy_(bias)
    return missed


@HOOKS.register_module()
class FitAdaptersHook(Hook):
    """Fits the distiller's adapters before the first iteration; a resumed stage has its own."""

    def before_train(self, runner: Runner) -> None:
        """Fit them on the first images of the first epoch."""
        if runner.iter > 0:
            return
        distiller: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        missed = distiller.fit_adapters(runner.train_loop.dataloader, IMAGES)
        logger = MMLogger.get_current_instance()
        for name, levels in missed.items():
            shown = ", ".join(f"{stride}: {share}" for stride, share in levels.items())
            logger.info("adapters of %s start as fitted maps; variance missed at %s", name, shown)
