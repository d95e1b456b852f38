"""Prediction-guided distillation (PGD): Yang et al., ECCV 2022."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtpd.distillation.adapter import LevelAdapter
from mtpd.distillation.features import Features, GroundTruth
from mtpd.distillation.losses.base import DistillationLoss, given, require_same_classes
from mtpd.distillation.masks import outside_boxes, within
from mtpd.distillation.pairing import Side
from mtpd.distillation.quality import gaussian_weights, overlap, scores_of_boxes
from mtpd.errors import UserError
from mtpd.settings.losses import PredictionGuided

EXCHANGED = ("FCOSHead", "AutoAssignHead")
"""Heads in whose released code x and y are exchanged, and which do not look at the padding."""

LEVEL_GROWTH = 0.25
"""Each level of the classification branch counts this much more than the finer one: 1, 1.25 …"""


class PredictionGuidedLoss(DistillationLoss):
    """The heads' towers after their first convolution, where the teacher predicts well.

    Positions count by the Gaussian weights w of :mod:`mtpd.distillation.quality`, from a quality
    p^(1−ξ) · IoU^ξ with a ξ for each branch. With attention A^S over positions and A^C over the
    channels of each position, levels summed:

    - classification: l (α Σ w A^S A^C (S−T)²/N + β Σ b A^S A^C (S−T)²/N)
      + δ (Σ |ΔA^C|/(N·H·W) + Σ |ΔA^S|/N), where w and the background b are divided by the number
      of positions that they hold in each image, and l is the level's weight
    - regression, over the positions that have a weight: γ mean(w · mean_c(A^C (S−T)²))
      + δ Σ |ΔA^C|/count

    Positions outside their image hold nothing: the text does not speak of them.

    The reading ``release`` departs from that as the authors' released code does, with which the
    published figures were made:

    - classification: every image counts by the sum of the masks of all images of the batch
    - FCOS and AutoAssign: x is taken for y where it is asked whether a position lies in a box
    - GFL: see :class:`~mtpd.distillation.heads.gfl.GFLAdapter`
    - positions outside the image are left out only in the heads with anchors, and only beyond the
      image's own padding

    Not taken over: DDOD's release also chooses what the student's own loss learns from by the
    teacher's predictions, which is no part of a loss between the two.

    Raises:
        UserError: A head's towers cannot be read, the numbers of classes differ, or nothing is
            published for the student's head and the settings leave that open.
    """

    needs_heads = True

    def __init__(self, settings: PredictionGuided, student: Side, teacher: Side) -> None:
        super().__init__(settings)
        for side in (student, teacher):
            if side.anatomy.obstacle is not None:
                raise UserError(
                    f"{side.name}: {side.anatomy.head}",
                    f"pgd cannot read this head ({side.anatomy.obstacle})",
                    f"use another loss, or one of these heads: {', '.join(settings.published)}",
                )
        require_same_classes("pgd", student, teacher)
        for key in ("alpha", "temperature", "positions"):
            if getattr(settings, key) is None:
                raise UserError(
                    f"{student.name}: {student.anatomy.head}",
                    f"nothing is published for pgd's {key} with this head",
                    f"set {key}",
                )
        self.alpha, self.beta = given(settings.alpha), given(settings.beta)
        self.gamma, self.delta = given(settings.gamma), settings.delta
        self.temperature, self.positions = given(settings.temperature), given(settings.positions)
        self.as_released = settings.reading == "release"
        self.exchanged = self.as_released and teacher.anatomy.head in EXCHANGED
        self.xis = settings.xi_classification, settings.xi_regression
        channels = [
            (side.anatomy.tower_channels,) * len(side.levels) for side in (student, teacher)
        ]
        self.classification_adapter = LevelAdapter(*channels)
        self.regression_adapter = LevelAdapter(*channels)

    def forward(self, student: Features, teacher: Features, truth: GroundTruth) -> Tensor:
        """Scalar loss of tower maps (N, C, H, W)."""
        shapes = [level.shape[-2:] for level in teacher.classification]
        classification, regression, background = self._weights(teacher, truth, shapes)
        total = student.classification[0].new_zeros(())
        adapted = self.classification_adapter(student.classification, teacher.classification)
        for index, maps in enumerate(zip(adapted, teacher.classification, strict=True)):
            total = total + self._classification(
                *maps, classification[index], background[index], 1 + LEVEL_GROWTH * index
            )
        adapted = self.regression_adapter(student.regression, teacher.regression)
        for s, t, weights in zip(adapted, teacher.regression, regression, strict=True):
            total = total + self._regression(s, t, weights)
        return total

    @torch.no_grad()
    def _weights(
        self, teacher: Features, truth: GroundTruth, shapes: Sequence[Sequence[int]]
    ) -> list[list[Tensor]]:
        """Weights of both branches and the background, each (N, H, W) by level."""
        predictions = teacher.predictions
        assert predictions is not None
        scores, ious = scores_of_boxes(predictions, truth), overlap(predictions, truth)
        points = predictions.points
        held = self._held(truth, points)
        weights = [
            gaussian_weights(
                scores ** (1 - xi) * ious**xi * held[:, None],
                points,
                truth,
                self.positions,
                self.exchanged,
            )
            for xi in self.xis
        ]
        background = outside_boxes(truth, points.flip(-1) if self.exchanged else points)
        everywhere = [*weights, background * held]
        return [_by_level(values, shapes) for values in everywhere]

    def _held(self, truth: GroundTruth, points: Tensor) -> Tensor:
        """Positions (N, P) that may have a weight: those in the image."""
        if not self.as_released:
            return within(truth.images, points)
        if self.exchanged:
            return torch.ones_like(within(truth.images, points))
        return within(truth.padded, points)

    def _classification(
        self, student: Tensor, teacher: Tensor, weights: Tensor, background: Tensor, level: float
    ) -> Tensor:
        images = len(teacher)
        spatial_s, channel_s = _attention(student, self.temperature)
        spatial_t, channel_t = _attention(teacher, self.temperature)
        squares = spatial_t * (channel_t * (student - teacher).square()).sum(1)
        mask = self.alpha * _shared(weights) + self.beta * _shared(background)
        if self.as_released:
            mask = mask.sum(0, keepdim=True)
        positions = images * spatial_t[0].numel()
        attention = (channel_s - channel_t).abs().sum() / positions
        attention = attention + (spatial_s - spatial_t).abs().sum() / images
        return level * (mask * squares).sum() / images + self.delta * attention

    def _regression(self, student: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
        _, channel_s = _attention(student, self.temperature)
        _, channel_t = _attention(teacher, self.temperature)
        squares = (channel_t * (student - teacher).square()).mean(1)
        held = weights > 0
        attention = (channel_s - channel_t).abs().sum(1) * held
        terms = self.gamma * (weights * squares).sum() + self.delta * attention.sum()
        return terms / held.sum().clamp(min=1)


def _attention(maps: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Attention over positions (N, H, W) and over the channels of each position (N, C, H, W)."""
    size, magnitude = maps.shape, maps.abs()
    over_positions = (magnitude.mean(1).flatten(1) / temperature).softmax(-1)
    spatial = over_positions.view(size[0], *size[2:]) * over_positions.shape[-1]
    return spatial, (magnitude / temperature).softmax(1) * size[1]


def _shared(mask: Tensor) -> Tensor:
    """A mask (N, H, W) divided by the number of positions that it holds in each image."""
    return mask / (mask > 0).sum((1, 2), keepdim=True).clamp(min=1)


def _by_level(values: Tensor, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """Values (N, P) of all levels' positions as one (N, H, W) for each level."""
    counts = [height * width for height, width in shapes]
    return [
        level.view(-1, *shape) for level, shape in zip(values.split(counts, 1), shapes, strict=True)
    ]
