"""Whether two ways to compute a detector find the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtpd.detectors.found import Found
from mtpd.detectors.handed_on import Description

BOXES_TOLERANCE = 0.1
SCORES_TOLERANCE = 0.001


@dataclass(frozen=True)
class Check:
    """How far the detections of two ways to compute a detector are apart.

    Attributes:
        images: How many were compared.
        from_where: What they are.
        detections: How many PyTorch found in them.
        boxes_px: Largest difference of a corner in pixels.
        scores: Largest difference of a score.
        masks: Largest part of a mask's pixels that differ; None: no masks.
        alone: Detections that have no counterpart and no score at the lower edge.
        boxes_tolerance_px: Of ``boxes_px``.
        scores_tolerance: Of ``scores``.
    """

    images: int
    from_where: str
    detections: int
    boxes_px: float
    scores: float
    masks: float | None
    alone: int
    boxes_tolerance_px: float = BOXES_TOLERANCE
    scores_tolerance: float = SCORES_TOLERANCE

    @property
    def has_passed(self) -> bool:
        """Whether all differences are within their tolerances."""
        return (
            not self.alone
            and self.boxes_px <= self.boxes_tolerance_px
            and self.scores <= self.scores_tolerance
        )


def compare(
    expected: Sequence[Found], found: Sequence[Found], from_where: str, description: Description
) -> Check:
    """Compare what two ways to compute a detector have found in the same images."""
    boxes, scores, masks, alone = [0.0], [0.0], [0.0], 0
    for one, other in zip(expected, found, strict=True):
        pairs, left = _paired(one, other)
        full = max(len(one), len(other)) >= description.detections
        lowest = min((*one.scores.tolist(), *other.scores.tolist()), default=0.0)
        edge = (lowest if full else description.score_threshold) + SCORES_TOLERANCE
        alone += sum(1 for score in left if score > edge)
        for i, j in pairs:
            boxes.append(float(np.abs(one.boxes[i] - other.boxes[j]).max()))
            scores.append(float(np.abs(one.scores[i] - other.scores[j])))
            if one.masks is not None and other.masks is not None:
                masks.append(float((one.masks[i] != other.masks[j]).mean()))
    return Check(
        images=len(expected),
        from_where=from_where,
        detections=sum(len(one) for one in expected),
        boxes_px=max(boxes),
        scores=max(scores),
        masks=None if description.mask_threshold is None else max(masks),
        alone=alone,
    )


def _paired(one: Found, other: Found) -> tuple[list[tuple[int, int]], list[float]]:
    """Detections of the same class that are nearest to each other, and scores of the others."""
    if not len(one) or not len(other):
        return [], [*one.scores.tolist(), *other.scores.tolist()]
    distances = np.abs(one.boxes[:, None] - other.boxes[None]).max(-1)
    distances += 100 * np.abs(one.scores[:, None] - other.scores[None])
    distances[one.labels[:, None] != other.labels[None]] = np.inf
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for i, row in enumerate(distances):
        j = min((j for j in range(len(other)) if j not in taken), key=row.__getitem__, default=-1)
        if j >= 0 and row[j] <= 10 * BOXES_TOLERANCE:
            pairs.append((i, j))
            taken.add(j)
    matched = {i for i, _ in pairs}
    left = [float(s) for i, s in enumerate(one.scores) if i not in matched]
    return pairs, left + [float(s) for j, s in enumerate(other.scores) if j not in taken]
