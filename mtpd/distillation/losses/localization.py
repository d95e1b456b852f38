"""Localisation distillation (LD): Zheng et al., Localization Distillation, CVPR 2022."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mtpd.distillation.features import Features, GroundTruth
from mtpd.distillation.losses.base import DistillationLoss, given, refuse_earlier_check
from mtpd.distillation.pairing import Side
from mtpd.errors import UserError
from mtpd.settings.losses import LocalizationDistillation


class LocalizationLoss(DistillationLoss):
    """KL divergence between the distributions over the distances to a box's sides.

    Each side's distribution is softmax(logits / τ) over its B distances. A position counts by w,
    the student's best score, where the student's own assignment lets it learn a box, and not at all
    elsewhere: what the paper calls the main distillation region. The loss of a level is
    weight · τ² · Σ w KL(teacher ‖ student) / (4·B), over all positions and four sides; levels are
    summed. It is that of MMDetection's LDHead, which does not divide by the number of positions.

    Raises:
        UserError: A head predicts no such distributions, or not over as many distances.
    """

    needs_distributions = True

    def __init__(self, settings: LocalizationDistillation, student: Side, teacher: Side) -> None:
        super().__init__(settings)
        for side in (student, teacher):
            if side.anatomy.bins is None:
                refuse_earlier_check(side, "distributions")
            if side.anatomy.bins == 0:
                raise UserError(
                    f"{side.name}: {side.anatomy.head}",
                    "ld needs a head that predicts distributions over distances",
                    "use another loss, or detectors with a GFLHead",
                )
        own, other = student.anatomy.bins, teacher.anatomy.bins
        if own != other:
            raise UserError(
                f"{student.name} and {teacher.name}",
                f"ld needs distributions over as many distances (are {own} and {other})",
                "set reg_max alike, or use another loss",
            )
        self.weight, self.temperature, self.bins = settings.weight, settings.temperature, given(own)

    def forward(self, student: Features, teacher: Features, truth: GroundTruth) -> Tensor:  # noqa: ARG002
        """Scalar loss of logits (N, 4·B, H, W)."""
        levels = zip(student.distributions, teacher.distributions, student.positives, strict=True)
        terms = [(self._divergence(s, t) * w).sum() for s, t, w in levels]
        return self.weight * sum(terms[1:], terms[0])

    def _divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Of the mean side, divided by the number of distances, at each position (N, H, W)."""
        log_s, log_t = (
            F.log_softmax(logits.unflatten(1, (4, self.bins)) / self.temperature, dim=2)
            for logits in (student, teacher)
        )
        divergence = F.kl_div(log_s, log_t, reduction="none", log_target=True)
        return divergence.mean((1, 2)) * self.temperature**2
