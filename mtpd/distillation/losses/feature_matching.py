"""Feature matching: the simple loss of multi-teacher progressive distillation (Cao et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from mtpd.distillation.adapter import LevelAdapter
from mtpd.experiment.losses import FeatureMatching


class FeatureMatchingLoss(nn.Module):
    """Weight · mean squared difference of teacher and adapted student, summed over levels."""

    def __init__(
        self,
        settings: FeatureMatching,
        student_channels: Sequence[int],
        teacher_channels: Sequence[int],
    ) -> None:
        super().__init__()
        self.weight = settings.weight
        self.adapter = LevelAdapter(student_channels, teacher_channels)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Scalar loss of maps (N, C, H, W)."""
        adapted = self.adapter(student, teacher)
        terms = [F.mse_loss(s, t) for s, t in zip(adapted, teacher, strict=True)]
        return self.weight * sum(terms[1:], terms[0])
