"""CrowdHuman's figures: average precision, log-average miss rate and Jaccard index of full boxes.

The protocol is that of the data set (Shao et al., 2018) with the Jaccard index of Chu et al.
(CVPR 2020), whose toolkit gave the figures that PGD publishes. As there:

* Boxes, annotated and found, are first clipped to the image.
* A detection is right if its IoU with a person is above 0.5. A detection of which more than half
  lies in an ignore region, and which is no person's, counts neither for nor against the detector.
* AP is the area below the precision, not smoothed, between the first recall and the last by
  trapezoids: of N persons found without a fault it is 1 - 1/N, as the toolkit has it.
* The miss rate is the geometric mean at nine numbers of false positives per image.
* All detections count: detectors of crowds give up to 500 for an image, so COCO's limit of 100
  has no place here.

MMDetection's ``CrowdHumanMetric`` is not used. It matches by the number of pairs for the Jaccard
index, where the toolkit maximises the sum of IoU; fails on an image without boxes, and has no miss
rate (NaN) for a detector that finds nothing; forks a hundred processes, of which one that fails
leaves the others waiting for ever; and rounds. Its AP and MR are right, and the tests hold these
against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from mtpd.errors import UserError
from mtpd.files import read_json

IOU = 0.5
"""A match is above it; so is the part of a detection that lies in an ignore region."""

FALSE_POSITIVES = (0.0100, 0.0178, 0.0316, 0.0562, 0.1000, 0.1778, 0.3162, 0.5623, 1.0000)
"""Per image, where the miss rate is read off: even steps of the logarithm, rounded as published."""

SCORE_THRESHOLDS = tuple(0.1 * step for step in range(10))
"""Of the Jaccard index: detections must be above."""


@dataclass(frozen=True)
class Image:
    """Overlaps of one image's boxes: of N detections by falling score, P persons, R regions.

    Attributes:
        scores: (N,)
        iou: Intersection over union of detections and persons, (N, P).
        ignored: Whether a detection lies in an ignore region, (N,).
        persons_ignored: Whether a person lies in an ignore region, (P,).
    """

    scores: np.ndarray
    iou: np.ndarray
    ignored: np.ndarray
    persons_ignored: np.ndarray


def crowd_figures(annotations: Path, detections: Path) -> dict[str, float | None]:
    """Evaluate detections of persons.

    Args:
        annotations: Instances JSON of one class, in which crowds are the ignore regions.
        detections: JSON in COCO's results format, of images of ``annotations``; may be empty.

    Returns:
        ``crowd_AP``, ``crowd_MR`` (the lower the better) and ``crowd_JI`` as fractions; None where
        there is no person to find.

    Raises:
        UserError: A file cannot be read, or a detection is of an unknown image.
    """
    images = _images(
        read_json(annotations, "run the data step first"),
        read_json(detections, "run the evaluate step first"),
        detections,
    )
    persons = sum(image.iou.shape[1] for image in images)
    if persons == 0:
        return {"crowd_AP": None, "crowd_MR": None, "crowd_JI": None}
    right = _right_by_score(images)
    return {
        "crowd_AP": average_precision(right, persons),
        "crowd_MR": miss_rate(right, persons, len(images)),
        "crowd_JI": max(jaccard_index(images, threshold) for threshold in SCORE_THRESHOLDS),
    }


def average_precision(right: np.ndarray, persons: int) -> float:
    """Area below precision over recall.

    Args:
        right: Whether each detection is right, by falling score, (N,); ignored ones left out.
        persons: Number of persons to find.
    """
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    return float(np.trapezoid(precision, found / persons))


def miss_rate(right: np.ndarray, persons: int, images: int) -> float:
    """Geometric mean of the miss rates at :data:`FALSE_POSITIVES` per image.

    Each is read off at the first detection that brings so many, or at the last of all; it is 0 if
    no person is missed at one of them.

    Args:
        right: As in :func:`average_precision`.
        persons: Number of persons to find.
        images: Number of images.
    """
    if len(right) == 0:
        return 1.0
    missed = 1 - np.cumsum(right) / persons
    first = np.searchsorted(np.cumsum(~right) / images, FALSE_POSITIVES)
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(missed[np.minimum(first, len(right) - 1)]).mean()))


def jaccard_index(images: Sequence[Image], threshold: float) -> float:
    """Mean over images of pairs matched / (persons + detections - pairs).

    Detections and persons are paired so that the sum of their IoU is greatest. Of those without
    partner, the ones in ignore regions do not count. Images where nothing counts are left out; the
    mean of none is 0.

    Args:
        images: Overlaps of their boxes.
        threshold: Score that detections must be above.
    """
    ratios = []
    for image in images:
        kept = image.scores > threshold
        iou, ignored = image.iou[kept], image.ignored[kept]
        rows, columns = linear_sum_assignment(np.where(iou > IOU, iou, 0), maximize=True)
        matched = iou[rows, columns] > IOU
        pairs = np.count_nonzero(matched)
        found = len(iou) - np.count_nonzero(np.delete(ignored, rows[matched]))
        persons = iou.shape[1] - np.count_nonzero(
            np.delete(image.persons_ignored, columns[matched])
        )
        if found or persons:
            ratios.append(pairs / (persons + found - pairs))
    return float(np.mean(ratios)) if ratios else 0.0


def _right_by_score(images: Sequence[Image]) -> np.ndarray:
    """Whether each detection of all images is right, by falling score; ignored ones left out."""
    scores, right = [np.empty(0)], [np.empty(0, dtype=bool)]
    for image in images:
        hit = _matched(image.iou)
        counts = hit | ~image.ignored
        scores.append(image.scores[counts])
        right.append(hit[counts])
    return np.concatenate(right)[np.argsort(-np.concatenate(scores), kind="stable")]


def _matched(iou: np.ndarray) -> np.ndarray:
    """Whether each detection finds a person: the nearest that none before it has found, (N,)."""
    hit = np.zeros(len(iou), dtype=bool)
    free = iou.copy()
    for i in np.flatnonzero((iou > IOU).any(axis=1)):
        person = free[i].argmax()
        if free[i, person] > IOU:
            hit[i] = True
            free[:, person] = 0
    return hit


def _images(instances: dict[str, Any], found: Sequence[dict[str, Any]], where: Path) -> list[Image]:
    persons: dict[int, list[list[float]]] = defaultdict(list)
    regions: dict[int, list[list[float]]] = defaultdict(list)
    detections: dict[int, list[list[float]]] = defaultdict(list)
    for item in instances["annotations"]:
        (regions if item["iscrowd"] else persons)[item["image_id"]].append(item["bbox"])
    for item in found:
        detections[item["image_id"]].append([*item["bbox"], item["score"]])
    unknown = detections.keys() - {image["id"] for image in instances["images"]}
    if unknown:
        raise UserError(
            where,
            f"has detections of image {min(unknown)}, which the annotations do not name",
            "run the evaluate step again",
        )
    return [
        _image(persons[i["id"]], regions[i["id"]], detections[i["id"]], i["width"], i["height"])
        for i in instances["images"]
    ]


def _image(
    persons: list[list[float]],
    regions: list[list[float]],
    detections: list[list[float]],
    width: int,
    height: int,
) -> Image:
    found = np.array(detections, dtype=float).reshape(-1, 5)
    found = found[np.argsort(-found[:, 4], kind="stable")]
    boxes, people, ignore = (
        _clipped(np.array(part, dtype=float).reshape(-1, 4), width, height)
        for part in (found[:, :4], persons, regions)
    )
    return Image(
        scores=found[:, 4],
        iou=_iou(boxes, people),
        ignored=_lies_in(boxes, ignore),
        persons_ignored=_lies_in(people, ignore),
    )


def _clipped(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Corners (N, 4) inside the image of boxes given as x, y, width, height.

    As in the toolkit, the first corner is at most the last pixel.
    """
    first, last = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    size = np.array([width, height])
    return np.hstack([first.clip(0, size - 1), last.clip(0, size)])


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every two, (A, B); 0 where neither has area."""
    common = _intersection(a, b)
    union = _area(a)[:, None] + _area(b) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def _lies_in(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Whether more than half of each box lies in one of the regions, (N,)."""
    inside = _intersection(boxes, regions) > IOU * _area(boxes)[:, None]
    return np.any(inside, axis=1)


def _intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    sides = np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2])
    return sides.clip(0).prod(axis=2)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)
