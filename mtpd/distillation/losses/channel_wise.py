"""Channel-wise distillation (CWD): Shu et al., Channel-wise Knowledge Distillation, ICCV 2021."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from mtpd.distillation.adapter import LevelAdapter
from mtpd.experiment.losses import ChannelWise


class ChannelWiseLoss(nn.Module):
    """KL divergence of every channel's distribution over positions, student from teacher.

    Each channel of each map becomes softmax(map / τ) over its H·W positions. The loss of a level is
    weight · τ² · Σ KL(teacher ‖ student) / (N·C); levels are summed.
    """

    def __init__(
        self,
        settings: ChannelWise,
        student_channels: Sequence[int],
        teacher_channels: Sequence[int],
    ) -> None:
        super().__init__()
        self.weight = settings.weight
        self.temperature = settings.temperature
        self.adapter = LevelAdapter(student_channels, teacher_channels)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Scalar loss of maps (N, C, H, W)."""
        adapted = self.adapter(student, teacher)
        terms = [self._divergence(s, t) for s, t in zip(adapted, teacher, strict=True)]
        return self.weight * sum(terms[1:], terms[0])

    def _divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        channels = student.shape[0] * student.shape[1]
        log_s = F.log_softmax(student.flatten(2) / self.temperature, dim=-1)
        log_t = F.log_softmax(teacher.flatten(2) / self.temperature, dim=-1)
        divergence = F.kl_div(log_s, log_t, reduction="sum", log_target=True)
        return divergence * self.temperature**2 / channels
