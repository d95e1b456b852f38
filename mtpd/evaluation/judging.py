"""What became of every detection of a model: right, or wrong in which way.

The definitions are TIDE's (Bolya et al., ECCV 2020), at its thresholds: an IoU of 0.5 with an
object of the same class is a match, one of 0.1 or less with every object is background. A detection
takes the best object of its class that is free, best score first, as under COCO's protocol. Of one
that finds none, the first line that fits is what became of it:

=============== ======================================================================
ignored         at least half of it lies in a crowd of its class: neither right nor wrong
localisation    the right class, but its IoU with the best such object is from 0.1 to 0.5
classification  an IoU of at least 0.5, but with an object of another class
duplicate       an IoU of at least 0.5 with an object of its class that a better one has found
background      an IoU of at most 0.1 with every object
both            the wrong class and the wrong place: an IoU from 0.1 to 0.5 with another class
=============== ======================================================================

An object is *missed* that no detection has found, and for which none is a localisation or
classification error either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from pycocotools import mask as rle

MATCH_IOU = 0.5
BACKGROUND_IOU = 0.1
DETECTIONS_PER_IMAGE = 100
"""The best ones of an image count, as under COCO's protocol."""

NOTHING = -1
"""In place of an object's index."""


class Outcome(IntEnum):
    """What became of a detection."""

    RIGHT = 0
    LOCALISATION = 1
    CLASSIFICATION = 2
    BOTH = 3
    DUPLICATE = 4
    BACKGROUND = 5
    IGNORED = 6


@dataclass(frozen=True)
class Objects:
    """The annotated objects of a split, without crowds; all arrays have one entry for each.

    Attributes:
        image: Id of the image.
        label: Id of the category.
        box: (objects, 4): left, top, width, height in pixels.
    """

    image: np.ndarray
    label: np.ndarray
    box: np.ndarray

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True)
class Judged:
    """The detections of a split, best score first within an image.

    Attributes:
        objects: What was to be found.
        image, label, score, box: Of every detection, as in :class:`Objects`.
        outcome: Of every detection, as :class:`Outcome`.
        target: Index of the object that it has found, or, of a localisation or classification
            error, that it is nearest to; ``NOTHING``: it has none.
    """

    objects: Objects
    image: np.ndarray
    label: np.ndarray
    score: np.ndarray
    box: np.ndarray
    outcome: np.ndarray
    target: np.ndarray

    def found(self, threshold: float = 0.0) -> np.ndarray:
        """For every object, whether a detection of at least this score has found it."""
        return self._touched((Outcome.RIGHT,), threshold)

    def missed(self, threshold: float = 0.0) -> np.ndarray:
        """For every object, whether it is missed by detections of at least this score."""
        touching = (Outcome.RIGHT, Outcome.LOCALISATION, Outcome.CLASSIFICATION)
        return ~self._touched(touching, threshold)

    def _touched(self, outcomes: Sequence[Outcome], threshold: float) -> np.ndarray:
        touched = np.zeros(len(self.objects), dtype=bool)
        chosen = np.isin(self.outcome, outcomes) & (self.score >= threshold)
        touched[self.target[chosen]] = True
        return touched


def judge(instances: Mapping[str, Any], detections: Sequence[Mapping[str, Any]]) -> Judged:
    """Compare the boxes of a model with the annotations of a split.

    What is right at a score of at least ``t`` is right whatever comes below ``t``, so the result
    serves for every threshold.

    Args:
        instances: The split, as a COCO instances JSON has it.
        detections: Boxes in COCO's results format.
    """
    annotations = [one for one in instances["annotations"] if not one.get("iscrowd")]
    crowds = _by_image([one for one in instances["annotations"] if one.get("iscrowd")])
    numbers = _by_image(range(len(annotations)), lambda number: annotations[number]["image_id"])
    found = _by_image(detections)
    kept, outcomes, targets = [], [], []
    for image in instances["images"]:
        own = sorted(found.get(image["id"], ()), key=lambda one: -one["score"])
        own = own[:DETECTIONS_PER_IMAGE]
        places = np.array(numbers.get(image["id"], ()), dtype=int)
        objects = [annotations[place] for place in places]
        outcome, target = _judge_image(own, objects, crowds.get(image["id"], []))
        kept += own
        outcomes.append(outcome)
        targets.append(np.where(target == NOTHING, NOTHING, np.append(places, 0)[target]))
    image, label, box = _columns(kept)
    return Judged(
        Objects(*_columns(annotations)),
        image,
        label,
        np.array([one["score"] for one in kept], dtype=float),
        box,
        np.concatenate(outcomes) if outcomes else np.zeros(0, dtype=int),
        np.concatenate(targets) if targets else np.zeros(0, dtype=int),
    )


def _judge_image(
    detections: Sequence[Mapping[str, Any]],
    objects: Sequence[Mapping[str, Any]],
    crowds: Sequence[Mapping[str, Any]],
) -> tuple[np.ndarray, np.ndarray]:
    """Outcome and target of the detections of one image, best score first."""
    labels = np.array([one["category_id"] for one in detections], dtype=int)
    same = labels[:, None] == np.array([one["category_id"] for one in objects], dtype=int)
    iou = _iou(detections, objects, crowd=False)
    outcome = np.full(len(detections), Outcome.BACKGROUND, dtype=int)
    target = np.full(len(detections), NOTHING, dtype=int)
    free = np.ones(len(objects), dtype=bool)
    for number in range(len(detections)):
        own = np.where(same[number] & free, iou[number], -1)
        if len(own) and own.max() >= MATCH_IOU:
            target[number] = int(own.argmax())
            free[target[number]] = False
            outcome[number] = Outcome.RIGHT
    in_crowd = _iou(detections, crowds, crowd=True)
    in_crowd *= labels[:, None] == np.array([one["category_id"] for one in crowds], dtype=int)
    for wrong in np.flatnonzero(outcome != Outcome.RIGHT):
        if (in_crowd[wrong] >= MATCH_IOU).any():
            outcome[wrong] = Outcome.IGNORED
        elif len(objects):
            outcome[wrong], target[wrong] = _error(iou[wrong], same[wrong])
    return outcome, target


def _error(iou: np.ndarray, same: np.ndarray) -> tuple[Outcome, int]:
    """In which way a detection is wrong that has found nothing, given its IoU with every object."""
    own, other = np.where(same, iou, -1), np.where(same, -1, iou)
    if BACKGROUND_IOU <= own.max() < MATCH_IOU:
        return Outcome.LOCALISATION, int(own.argmax())
    if other.max() >= MATCH_IOU:
        return Outcome.CLASSIFICATION, int(other.argmax())
    if own.max() >= MATCH_IOU:
        return Outcome.DUPLICATE, NOTHING
    if iou.max() <= BACKGROUND_IOU:
        return Outcome.BACKGROUND, NOTHING
    return Outcome.BOTH, NOTHING


def _iou(
    detections: Sequence[Mapping[str, Any]], objects: Sequence[Mapping[str, Any]], crowd: bool
) -> np.ndarray:
    """IoU (detections, objects); with crowds, the part of each detection that lies in them."""
    if not detections or not objects:
        return np.zeros((len(detections), len(objects)))
    boxes = [
        np.array([one["bbox"] for one in group], dtype=float) for group in (detections, objects)
    ]
    return np.asarray(rle.iou(*boxes, [int(crowd)] * len(objects)))


def _by_image(items: Any, image_of: Any = lambda item: item["image_id"]) -> dict[Any, list[Any]]:
    grouped: dict[Any, list[Any]] = defaultdict(list)
    for item in items:
        grouped[image_of(item)].append(item)
    return grouped


def _columns(items: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, label and box of annotations or detections."""
    return (
        np.array([item["image_id"] for item in items], dtype=int),
        np.array([item["category_id"] for item in items], dtype=int),
        np.array([item["bbox"] for item in items], dtype=float).reshape(-1, 4),
    )
