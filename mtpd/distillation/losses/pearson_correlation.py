"""Distillation by Pearson correlation (PKD): Cao et al., NeurIPS 2022."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mtpd.distillation.adapter import LevelAdapter
from mtpd.distillation.features import Features, GroundTruth
from mtpd.distillation.losses.base import DistillationLoss, given
from mtpd.distillation.pairing import Side
from mtpd.errors import UserError
from mtpd.settings.losses import PearsonCorrelation

EPSILON = 1e-6


class PearsonCorrelationLoss(DistillationLoss):
    """Weight · half the mean squared difference of standardised maps, summed over levels.

    Every channel is standardised over batch and positions, so scale and offset do not matter, and
    the loss of a level is 1 − the channels' mean correlation. As many of the finest levels count as
    the settings say, or all, if there are fewer.

    Raises:
        UserError: These levels differ in channels, which this loss does not adapt.
    """

    def __init__(self, settings: PearsonCorrelation, student: Side, teacher: Side) -> None:
        super().__init__(settings)
        self.weight, self.levels = given(settings.weight), slice(given(settings.levels))
        own, other = student.channels[self.levels], teacher.channels[self.levels]
        if own != other:
            raise UserError(
                f"{student.name} and {teacher.name}",
                f"pkd needs FPN levels of like channels (are {_listed(own)} and {_listed(other)})",
                "use another loss, or give both necks the same out_channels",
            )
        self.adapter = LevelAdapter(own, other)

    def forward(self, student: Features, teacher: Features, truth: GroundTruth) -> Tensor:  # noqa: ARG002
        """Scalar loss of maps (N, C, H, W)."""
        maps = teacher.fpn[self.levels]
        resized = self.adapter(student.fpn[self.levels], maps)
        terms = [
            F.mse_loss(_standardised(s), _standardised(t)) / 2
            for s, t in zip(resized, maps, strict=True)
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
