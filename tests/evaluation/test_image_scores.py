"""How good detections of one image are: counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mtpd.evaluation.image_scores import ImageScore, image_score, truth_of

OBJECTS = [[0, 0, 10, 10], [20, 0, 30, 10], [0, 20, 40, 60]]


def score(detections: list[tuple[list[float], int, float]], crowd: bool = False) -> ImageScore:
    boxes = np.array([box for box, _, _ in detections], float).reshape(-1, 4)
    labels = np.array([label for _, label, _ in detections], int)
    scores = np.array([value for _, _, value in detections], float)
    truth, classes = np.array(OBJECTS, float), np.array([0, 1, 0])
    return image_score(boxes, labels, scores, truth, classes, np.array([False, False, crowd]))


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        ([], ImageScore(0, 3, 0)),
        ([([0, 0, 10, 10], 0, 0.9)], ImageScore(1, 2, 0)),
        ([([0, 0, 10, 10], 1, 0.9)], ImageScore(0, 3, 1)),  # of another class
        ([([0, 0, 10, 5.1], 0, 0.9)], ImageScore(1, 2, 0)),  # overlaps by a little over a half
        ([([0, 0, 10, 4.9], 0, 0.9)], ImageScore(0, 3, 1)),
        ([([0, 0, 10, 10], 0, 0.9), ([0, 0, 10, 9], 0, 0.8)], ImageScore(1, 2, 1)),  # twice
        ([([0, 0, 10, 7], 0, 0.8), ([0, 0, 10, 10], 0, 0.9)], ImageScore(1, 2, 1)),
        ([(box, label, 0.9) for box, label in zip(OBJECTS, (0, 1, 0), strict=True)],
         ImageScore(3, 0, 0)),
    ],
)  # fmt: skip
def test_counts(detections: list[tuple[list[float], int, float]], expected: ImageScore) -> None:
    assert score(detections) == expected


def test_detections_in_a_crowd_are_neither_right_nor_wrong() -> None:
    inside = [([2, 22, 8, 30], 0, 0.9), ([10, 22, 18, 30], 0, 0.8)]
    assert score(inside) == ImageScore(0, 3, 2)
    assert score(inside, crowd=True) == ImageScore(0, 2, 0)
    assert score([(box, 1, value) for box, _, value in inside], crowd=True).wrong == 2


def test_f1() -> None:
    assert ImageScore(2, 1, 1).f1 == pytest.approx(2 / 3)
    assert ImageScore(0, 2, 0).f1 == 0
    assert ImageScore(0, 0, 0).f1 == 1


def test_annotations_become_corners() -> None:
    items = [
        {"bbox": [1, 2, 3, 4], "category_id": 7, "iscrowd": 0},
        {"bbox": [0, 0, 5, 5], "category_id": 3, "iscrowd": 1},
    ]
    corners, labels, crowds = truth_of(items, {3: 0, 7: 1})
    assert corners.tolist() == [[1, 2, 4, 6], [0, 0, 5, 5]]
    assert labels.tolist() == [1, 0]
    assert crowds.tolist() == [False, True]
    assert truth_of([], {})[0].shape == (0, 4)
