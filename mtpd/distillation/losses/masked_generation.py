"""Masked generative distillation (MGD): Yang et al., ECCV 2022."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtpd.distillation.adapter import LevelAdapter
from mtpd.distillation.features import Features, GroundTruth
from mtpd.distillation.losses.base import DistillationLoss, given
from mtpd.distillation.pairing import Side
from mtpd.settings.losses import MaskedGeneration


class MaskedGenerationLoss(DistillationLoss):
    """The student generates the teacher's maps from what a random mask leaves of its own.

    Whole positions of the adapted student are set to zero, each with probability ``mask_ratio``;
    conv3×3, ReLU, conv3×3 make a map of the rest. The loss of a level is
    weight · Σ (generated − teacher)² / N; levels are summed.
    """

    def __init__(self, settings: MaskedGeneration, student: Side, teacher: Side) -> None:
        super().__init__(settings)
        self.weight = given(settings.weight)
        self.mask_ratio = given(settings.mask_ratio)
        self.adapter = LevelAdapter(student.channels, teacher.channels)
        self.generators = nn.ModuleList(_generator(channels) for channels in teacher.channels)

    def forward(self, student: Features, teacher: Features, truth: GroundTruth) -> Tensor:  # noqa: ARG002
        """Scalar loss of maps (N, C, H, W)."""
        adapted = self.adapter(student.fpn, teacher.fpn)
        terms = [
            (generator(s * self._kept(s)) - t).square().sum() / len(t)
            for generator, s, t in zip(self.generators, adapted, teacher.fpn, strict=True)
        ]
        return self.weight * sum(terms[1:], terms[0])

    def _kept(self, maps: Tensor) -> Tensor:
        """Mask (N, 1, H, W) of the positions that stay, the same for all channels."""
        return torch.rand_like(maps[:, :1]) >= self.mask_ratio


def _generator(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, kernel_size=3, padding=1),
    )
