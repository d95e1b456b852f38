"""What losses see of a step: two detectors' features, and the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True)
class Predictions:
    """A dense head's predictions at the P priors of its paired levels, finest level first.

    Heads with several priors at a position have them one after the other.

    Attributes:
        logits: (N, P, classes), of which the sigmoid is the score.
        boxes: (N, P, 4) as x1, y1, x2, y2 in pixels of the input.
        points: (P, 2) as x, y in pixels of the input.
    """

    logits: Tensor
    boxes: Tensor
    points: Tensor

    @property
    def scores(self) -> Tensor:
        """(N, P, classes), each in [0, 1]."""
        return self.logits.sigmoid()


@dataclass(frozen=True)
class Features:
    """One detector's features at the paired levels, finest first, each map (N, C, H, W).

    Attributes:
        fpn: The neck's maps.
        classification: The head's classification tower after its first convolution; empty unless
            a loss asks for it, as the two below.
        regression: The regression tower likewise.
        predictions: The dense head's predictions; None unless a loss asks for them.
        distributions: Logits (N, 4·B, H, W) of the head's distributions over B distances to each
            side of a box; empty unless a loss asks for them, as what follows.
        positives: How much each position (N, H, W) counts in the student's own loss of boxes.
        positive_count: Positives of the student's own assignment, the mean of all processes.
    """

    fpn: Sequence[Tensor]
    classification: Sequence[Tensor] = ()
    regression: Sequence[Tensor] = ()
    predictions: Predictions | None = None
    distributions: Sequence[Tensor] = ()
    positives: Sequence[Tensor] = ()
    positive_count: float = 0.0


@dataclass(frozen=True)
class GroundTruth:
    """The annotated boxes of a batch, padded to as many as its fullest image has, and at least one.

    Attributes:
        boxes: (N, G, 4) as x1, y1, x2, y2 in pixels of the input.
        labels: (N, G) class indices.
        valid: (N, G) bool, False where there is only padding.
        size: Height and width of the input in pixels.
        images: (N, 2) height and width of each image in the input; the rest is padding.
        padded: (N, 2) the same with each image's own padding to a multiple of the stride, as a
            preprocessor makes it.
    """

    boxes: Tensor
    labels: Tensor
    valid: Tensor
    size: tuple[int, int]
    images: Tensor
    padded: Tensor

    @classmethod
    def of(
        cls,
        boxes: Sequence[Tensor],
        labels: Sequence[Tensor],
        size: tuple[int, int],
        images: Sequence[tuple[int, int]] | None = None,
        padded: Sequence[tuple[int, int]] | None = None,
    ) -> GroundTruth:
        """From each image's boxes (G_i, 4) and labels (G_i); images fill the input by default."""
        counts = torch.tensor([len(own) for own in boxes], device=boxes[0].device)
        # An invalid one at the end of each leaves no batch without boxes to reduce over.
        filled = pad_sequence([F.pad(own, (0, 0, 0, 1)) for own in boxes], batch_first=True)
        classes = pad_sequence([F.pad(own, (0, 1)) for own in labels], batch_first=True)
        valid = torch.arange(filled.shape[1], device=filled.device) < counts[:, None]
        fullest = max(1, filled.shape[1] - 1)
        whole = [size] * len(boxes)
        sizes = images or whole
        return cls(
            filled[:, :fullest],
            classes[:, :fullest],
            valid[:, :fullest],
            size,
            torch.tensor(sizes, device=filled.device),
            torch.tensor(padded or sizes, device=filled.device),
        )

    @classmethod
    def from_samples(cls, samples: Sequence[Any], size: tuple[int, int]) -> GroundTruth:
        """From MMDetection's data samples; ignored regions are no ground truth."""
        instances = [sample.gt_instances for sample in samples]
        return cls.of(
            [own.bboxes.float() for own in instances],
            [own.labels for own in instances],
            size,
            [tuple(sample.img_shape[:2]) for sample in samples],
            [tuple(sample.metainfo.get("pad_shape", size)[:2]) for sample in samples],
        )
