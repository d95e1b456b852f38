"""How good the detections of one image are, for finding images that two models see differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

OVERLAP = 0.5
"""IoU from which on a detection has found an object of its class."""


@dataclass(frozen=True)
class ImageScore:
    """Numbers of an image's objects and detections.

    Attributes:
        found: Objects that were found.
        missed: Objects that were not.
        wrong: Detections of no object: beside one, of another class, or of one that was found
            already.
    """

    found: int
    missed: int
    wrong: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where there is nothing, and nothing found."""
        total = 2 * self.found + self.missed + self.wrong
        return 2 * self.found / total if total else 1.0


def image_score(
    boxes: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    truth: np.ndarray,
    classes: np.ndarray,
    crowds: np.ndarray,
) -> ImageScore:
    """Match detections with objects, the surest first, each with the object it overlaps most.

    Args:
        boxes: Corners x1, y1, x2, y2 of the detections (N, 4).
        labels: Their classes (N).
        scores: Their scores (N).
        truth: Corners of the objects (M, 4).
        classes: Their classes (M).
        crowds: Which of them are crowds: detections in these are neither right nor wrong (M).
    """
    overlaps = _overlaps(boxes, truth, crowds)
    overlaps[labels[:, None] != classes[None]] = 0
    free = ~crowds
    found = wrong = 0
    for i in np.argsort(-scores, kind="stable"):
        own = np.where(free, overlaps[i], 0)
        if own.size and own.max() >= OVERLAP:
            free[own.argmax()] = False
            found += 1
        elif not (overlaps[i][crowds] >= OVERLAP).any():
            wrong += 1
    return ImageScore(found, int((~crowds).sum()) - found, wrong)


def truth_of(
    annotations: Sequence[dict[str, Any]], label_of: dict[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners, classes and crowds of an image's annotations in COCO's format."""
    sides = np.array([item["bbox"] for item in annotations], float).reshape(-1, 4)
    corners = np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], 1)
    labels = np.array([label_of[item["category_id"]] for item in annotations], int)
    return corners, labels, np.array([bool(item.get("iscrowd")) for item in annotations], bool)


def _overlaps(boxes: np.ndarray, truth: np.ndarray, crowds: np.ndarray) -> np.ndarray:
    """IoU of every box with every object (N, M); with a crowd, the part of the box inside it."""
    near = np.minimum(boxes[:, None, 2:], truth[None, :, 2:])
    far = np.maximum(boxes[:, None, :2], truth[None, :, :2])
    common = (near - far).clip(min=0).prod(-1)
    own, others = _areas(boxes)[:, None], _areas(truth)[None]
    whole = np.where(crowds[None], own, own + others - common)
    return np.divide(common, whole, out=np.zeros_like(common, dtype=float), where=whole > 0)


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(-1)
