"""Distillation by Pearson correlation (PKD): Cao et al., NeurIPS 2022."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mtpd.distillation.adapter import LevelAdapter
from mtpd.distillation.features import Features, GroundTruth
from mtpd.distillation.losses.base import DistillationLoss
from mtpd.distillation.pairing import Side
from mtpd.errors import UserError
from mtpd.settings.losses import PearsonCorrelation

EPSILON = 1e-6


class PearsonCorrelationLoss(DistillationLoss):
    """Weight · half the mean squared difference of standardised maps, summed over levels.

    Every channel is standardised over batch and positions, so scale and offset do not matter, and
    the loss of a level is 1 − the channels' mean correlation.

    Raises:
        UserError: The paired levels differ in channels, which this loss does not adapt.
    """

    def __init__(self, settings: PearsonCorrelation, student: Side, teacher: Side) -> None:
        super().__init__(settings)
        if student.channels != teacher.channels:
            raise UserError(
                f"{student.name} and {teacher.name}",
                f"pkd needs FPN levels of like channels (are {_listed(student.channels)} "
                f"and {_listed(teacher.channels)})",
                "use another loss, or give both necks the same out_channels",
            )
        self.weight = settings.weight
        self.adapter = LevelAdapter(student.channels, teacher.channels)

    def forward(self, student: Features, teacher: Features, truth: GroundTruth) -> Tensor:  # noqa: ARG002
        """Scalar loss of maps (N, C, H, W)."""
        resized = self.adapter(student.fpn, teacher.fpn)
        terms = [
            F.mse_loss(_standardised(s), _standardised(t)) / 2
            for s, t in zip(resized, teacher.fpn, strict=True)
        ]
        return self.weight * sum(terms[1:], terms[0])


def _standardised(maps: Tensor) -> Tensor:
    """Maps (N, C, H, W) with mean 0 and standard deviation 1 in every channel."""
    dims = (0, 2, 3)
    # Of the population, not the sample: a level of a single position has one too.
    deviation = maps.std(dims, correction=0, keepdim=True)
    return (maps - maps.mean(dims, keepdim=True)) / (deviation + EPSILON)


def _listed(channels: tuple[int, ...]) -> str:
    return ", ".join(str(number) for number in channels)
