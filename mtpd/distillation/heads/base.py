"""The common interface to dense heads: their towers, and their predictions at every position."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mtpd.distillation.features import Predictions
from mtpd.files import digest_of


class DenseHeadAdapter(ABC):
    """Reads a dense head of MMDetection.

    A head family's adapter says how its raw boxes are decoded; everything else is alike.

    Args:
        head: The detector's ``bbox_head``.

    Attributes:
        counts_positives: Whether the head tells positives from negatives, and they can be counted.
        scores_stand_alone: Whether what the head gives for classes are scores by themselves.
        as_released: Whether predictions are those of PGD's released code, where it has others.
    """

    counts_positives: ClassVar[bool] = False
    scores_stand_alone: ClassVar[bool] = True
    as_released = False

    def __init__(self, head: Any) -> None:
        self.head = head

    @property
    def obstacle(self) -> str | None:
        """Why its towers, though of a known class, cannot be read; None if they can."""
        if not len(self.head.cls_convs) or not len(self.head.reg_convs):
            return "its towers have no convolution"
        if not self.head.use_sigmoid_cls:
            return "its scores are no sigmoids"
        priors = max(self.head.prior_generator.num_base_priors)
        return None if priors == 1 else f"it has {priors} priors at a position instead of one"

    @property
    def priors(self) -> int:
        """Priors at every position whose scores and boxes can be read; 0: they cannot."""
        numbers = set(self.head.prior_generator.num_base_priors)
        can_be_read = self.scores_stand_alone and self.head.use_sigmoid_cls
        return numbers.pop() if can_be_read and len(numbers) == 1 else 0

    @property
    def anchors(self) -> str:
        """What tells several anchors at a position from those of other heads; empty: one prior."""
        if self.priors < 2:
            return ""
        return digest_of([level.tolist() for level in self.head.prior_generator.base_anchors])

    @property
    def tower_channels(self) -> int:
        """Channels of the towers after their first convolution."""
        return int(self.head.feat_channels)

    @property
    def first_convolutions(self) -> tuple[nn.Module, nn.Module]:
        """First convolution, with its norm and activation, of classification and regression."""
        return self.head.cls_convs[0], self.head.reg_convs[0]

    def predictions(
        self, outputs: tuple[Sequence[Tensor], ...], levels: Sequence[int]
    ) -> Predictions:
        """Scores and decoded boxes of the given levels.

        Args:
            outputs: What the head's ``forward`` gave, in the mode that the head is in.
            levels: Indices of the wanted levels.
        """
        grids = [tuple(scores.shape[-2:]) for scores in outputs[0]]
        device = outputs[0][0].device
        priors = self.head.prior_generator.grid_priors(grids, device=device)
        logits, boxes, points = [], [], []
        for level in levels:
            count = self.head.prior_generator.num_base_priors[level]
            logits.append(_by_prior(outputs[0][level], count))
            raw = _by_prior(outputs[1][level], count)
            own = priors[level].expand(len(raw), -1, -1)
            boxes.append(self.decode(own, raw, level))
            points.append(_centres(priors[level]))
        return Predictions(torch.cat(logits, 1), torch.cat(boxes, 1), torch.cat(points))

    @property
    def bins(self) -> int:
        """Distances over which the head predicts a distribution for each side; 0: it does not."""
        return 0

    def positives(self, outputs: tuple[Sequence[Tensor], ...], samples: Any) -> list[Tensor]:
        """How much every position counts in the head's own loss of boxes, (N, H, W) by level.

        Args:
            outputs: What the head's ``forward`` gave.
            samples: MMDetection's data samples, with what is annotated.
        """
        raise NotImplementedError(f"{type(self.head).__name__} has no distributions")

    def positive_count(self, outputs: tuple[Sequence[Tensor], ...], samples: Any) -> float:
        """How many priors the head takes for positives, over all levels and images.

        Args:
            outputs: What the head's ``forward`` gave.
            samples: MMDetection's data samples, with what is annotated.
        """
        raise NotImplementedError(f"the positives of {type(self.head).__name__} are not counted")

    @abstractmethod
    def decode(self, priors: Tensor, raw: Tensor, level: int) -> Tensor:
        """Boxes (N, P, 4) in pixels from the head's raw ones, P = H·W times the priors of each.

        Args:
            priors: Points (N, P, 2) or anchors (N, P, 4).
            raw: (N, P, D), D as the head has it.
            level: Index of the level.
        """


def _by_prior(level: Tensor, priors: int) -> Tensor:
    """(N, priors·D, H, W) as (N, H·W·priors, D) in float32, which decoding needs under AMP."""
    return level.flatten(2).transpose(1, 2).unflatten(2, (priors, -1)).flatten(1, 2).float()


def _centres(priors: Tensor) -> Tensor:
    """Points (P, 2) of point priors as they are, and of anchors (P, 4) their centres."""
    return priors if priors.shape[-1] == 2 else (priors[:, :2] + priors[:, 2:]) / 2
