"""Channel-wise distillation (CWD): Shu et al., Channel-wise Knowledge Distillation, ICCV 2021."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mtpd.distillation.adapter import LevelAdapter
from mtpd.distillation.features import Features, GroundTruth
from mtpd.distillation.losses.base import DistillationLoss
from mtpd.distillation.pairing import Side
from mtpd.settings.losses import ChannelWise


class ChannelWiseLoss(DistillationLoss):
    """KL divergence of every channel's distribution over positions, student from teacher.

    Each channel of each map becomes softmax(map / τ) over its H·W positions. The loss of a level is
    weight · τ² · Σ KL(teacher ‖ student) / (N·C); levels are summed.
    """

    def __init__(self, settings: ChannelWise, student: Side, teacher: Side) -> None:
        super().__init__(settings)
        self.weight = settings.weight
        self.temperature = settings.temperature
        self.adapter = LevelAdapter(student.channels, teacher.channels)

    def forward(self, student: Features, teacher: Features, truth: GroundTruth) -> Tensor:  # noqa: ARG002
        """Scalar loss of maps (N, C, H, W)."""
        adapted = self.adapter(student.fpn, teacher.fpn)
        terms = [self._divergence(s, t) for s, t in zip(adapted, teacher.fpn, strict=True)]
        return self.weight * sum(terms[1:], terms[0])

    def _divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        channels = student.shape[0] * student.shape[1]
        log_s = F.log_softmax(student.flatten(2) / self.temperature, dim=-1)
        log_t = F.log_softmax(teacher.flatten(2) / self.temperature, dim=-1)
        divergence = F.kl_div(log_s, log_t, reduction="sum", log_target=True)
        return divergence * self.temperature**2 / channels
