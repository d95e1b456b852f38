"""Binary classification distillation (BCKD): Yang et al., Bridging Cross-task Protocol
Inconsistency for Distillation in Dense Object Detection, ICCV 2023.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from mtpd.distillation.features import Features, GroundTruth
from mtpd.distillation.heads import ADAPTERS
from mtpd.distillation.losses.base import (
    DistillationLoss,
    refuse_earlier_check,
    require_same_classes,
)
from mtpd.distillation.masks import within
from mtpd.distillation.pairing import Side
from mtpd.errors import UserError
from mtpd.settings.losses import BinaryClassification


class BinaryClassificationLoss(DistillationLoss):
    """What the student's head predicts for every prior, against what the teacher's predicts.

    With the scores p of every class and the boxes b that belong to the same prior, the loss is
    α₁ Σ |p_t − p_s| BCE(p_s, p_t) / M + α₂ Σ max |p_t − p_s| (1 − GIoU(b_s, b_t)) / M, summed over
    the priors whose centre lies inside their image; the maximum is that over classes, and takes no
    gradient. M is what the student's own loss is divided by, its number of positives, as in the
    authors' release. The release leaves out levels where a batch has no positive; this does
    not. Heads of two kinds with one prior at a position are compared cell by
    cell.

    Raises:
        UserError: A head's predictions cannot be read, they do not belong to the same priors, the
            numbers of classes differ, or the student's head does not count positives.
    """

    needs_predictions = True

    def __init__(self, settings: BinaryClassification, student: Side, teacher: Side) -> None:
        super().__init__(settings)
        able = [head for head, adapter in ADAPTERS.items() if adapter.scores_stand_alone]
        for side in (student, teacher):
            if side.anatomy.priors is None:
                refuse_earlier_check(side, "predictions")
            if side.anatomy.priors == 0:
                raise UserError(
                    f"{side.name}: {side.anatomy.head}",
                    "bckd cannot read what this head predicts",
                    f"use another loss, or one of these heads: {', '.join(able)}",
                )
        if not ADAPTERS[student.anatomy.head].counts_positives:
            able = [head for head, adapter in ADAPTERS.items() if adapter.counts_positives]
            raise UserError(
                f"{student.name}: {student.anatomy.head}",
                "bckd divides by the number of positives, which is not known of this head",
                f"use another loss, or a student with one of these: {', '.join(able)}",
            )
        own, other = student.anatomy.priors, teacher.anatomy.priors
        if own != other:
            raise UserError(
                f"{student.name} and {teacher.name}",
                f"bckd needs as many priors at a position (they have {own} and {other})",
                "use another loss, or heads with as many anchors",
            )
        if student.anatomy.anchors != teacher.anatomy.anchors:
            raise UserError(
                f"{student.name} and {teacher.name}",
                "bckd needs the same anchors, and theirs differ in size, ratio or order",
                "use another loss, or give both heads the same anchor_generator",
            )
        require_same_classes("bckd", student, teacher)
        self.weights = settings.classification, settings.localization

    def forward(self, student: Features, teacher: Features, truth: GroundTruth) -> Tensor:
        """Scalar loss of predictions for P priors.

        Raises:
            UserError: The maps of student and teacher have unlike sizes.
        """
        own, other = student.predictions, teacher.predictions
        assert own is not None
        assert other is not None
        if own.logits.shape != other.logits.shape:
            raise UserError(
                "bckd",
                f"student and teacher predict for {own.logits.shape[1]} and "
                f"{other.logits.shape[1]} priors, as their maps have unlike sizes",
                "use another loss for this pair",
            )
        scores = other.scores
        differences = (scores - own.scores).abs()
        entropies = F.binary_cross_entropy_with_logits(own.logits, scores, reduction="none")
        classes = (differences * entropies).sum(2)
        boxes = differences.detach().amax(2) * generalized_box_iou_loss(own.boxes, other.boxes)
        held = within(truth.images, own.points)
        sums = [(values * held).sum() for values in (classes, boxes)]
        positives = max(student.positive_count, 1.0)
        return (self.weights[0] * sums[0] + self.weights[1] * sums[1]) / positives
