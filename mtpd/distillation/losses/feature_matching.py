"""Feature matching: the simple loss of multi-teacher progressive distillation (Cao et al. 2023)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mtpd.distillation.adapter import LevelAdapter
from mtpd.distillation.features import Features, GroundTruth
from mtpd.distillation.losses.base import DistillationLoss, given
from mtpd.distillation.pairing import Side
from mtpd.settings.losses import FeatureMatching


class FeatureMatchingLoss(DistillationLoss):
    """Weight · mean squared difference of teacher and adapted student, summed over levels."""

    def __init__(self, settings: FeatureMatching, student: Side, teacher: Side) -> None:
        super().__init__(settings)
        self.weight = given(settings.weight)
        self.adapter = LevelAdapter(student.channels, teacher.channels)

    def forward(self, student: Features, teacher: Features, truth: GroundTruth) -> Tensor:  # noqa: ARG002
        """Scalar loss of maps (N, C, H, W)."""
        adapted = self.adapter(student.fpn, teacher.fpn)
        terms = [F.mse_loss(s, t) for s, t in zip(adapted, teacher.fpn, strict=True)]
        return self.weight * sum(terms[1:], terms[0])
