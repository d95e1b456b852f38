"""What became of every detection, and what errors cost: worked out by hand.

Objects are 100 pixels wide and high. A box that is ``d`` pixels to the right of one of them has an
IoU of (100 - d) / (100 + d) with it: 50 pixels give 1/3, 20 give 2/3, 90 give 1/19.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from truth import SIDE, box, found

from mtpd.evaluation.coco import figures_of, ground_truth, precision_curves
from mtpd.evaluation.errors import (
    average_precision,
    count_errors,
    f1_of_images,
    most_useful_threshold,
)
from mtpd.evaluation.judging import NOTHING, Judged, Outcome, judge

SQUARE = (100, 100)


def instances(*annotations: dict[str, Any], images: int = 1) -> dict[str, Any]:
    return {
        "images": [{"id": i, "width": SIDE, "height": SIDE} for i in range(1, images + 1)],
        "categories": [{"id": 1, "name": "c1"}, {"id": 2, "name": "c2"}],
        "annotations": [{"id": i, **one} for i, one in enumerate(annotations, start=1)],
    }


def outcomes(judged: Judged) -> list[tuple[Outcome, int]]:
    pairs = zip(judged.outcome.tolist(), judged.target.tolist(), strict=True)
    return [(Outcome(outcome), target) for outcome, target in pairs]


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        (found(20, 0, *SQUARE, 0.5), (Outcome.RIGHT, 0)),
        (found(50, 0, *SQUARE, 0.5), (Outcome.LOCALISATION, 0)),
        (found(20, 0, *SQUARE, 0.5, category=2), (Outcome.CLASSIFICATION, 0)),
        (found(50, 0, *SQUARE, 0.5, category=2), (Outcome.BOTH, NOTHING)),
        (found(90, 0, *SQUARE, 0.5), (Outcome.BACKGROUND, NOTHING)),
        (found(290, 290, *SQUARE, 0.5), (Outcome.BACKGROUND, NOTHING)),
    ],
)
def test_one_detection_of_one_object(
    detection: dict[str, Any], expected: tuple[Outcome, int]
) -> None:
    assert outcomes(judge(instances(box(0, 0, *SQUARE)), [detection])) == [expected]


def test_the_better_score_finds_the_object_and_the_other_is_a_duplicate() -> None:
    detections = [found(0, 0, *SQUARE, 0.6), found(20, 0, *SQUARE, 0.9)]
    judged = judge(instances(box(0, 0, *SQUARE)), detections)
    assert judged.score.tolist() == [0.9, 0.6]
    assert outcomes(judged) == [(Outcome.RIGHT, 0), (Outcome.DUPLICATE, NOTHING)]


def test_an_object_that_is_taken_leaves_the_second_best_one() -> None:
    """Both detections overlap both objects by more than half; each finds one."""
    truth = instances(box(0, 0, *SQUARE), box(20, 0, *SQUARE))
    judged = judge(truth, [found(0, 0, *SQUARE, 0.9), found(0, 0, *SQUARE, 0.8)])
    assert outcomes(judged) == [(Outcome.RIGHT, 0), (Outcome.RIGHT, 1)]


def test_a_detection_in_a_crowd_of_its_class_is_neither_right_nor_wrong() -> None:
    truth = instances(box(0, 0, 300, 300, crowd=1), box(300, 300, *SQUARE, category=2))
    inside = [found(0, 0, *SQUARE, 0.9), found(0, 0, *SQUARE, 0.8, category=2)]
    judged = judge(truth, inside)
    assert outcomes(judged) == [(Outcome.IGNORED, NOTHING), (Outcome.BACKGROUND, NOTHING)]
    assert len(judged.objects) == 1
    assert count_errors(judged, 0).counts["background"] == 1


def test_objects_and_detections_of_other_images_do_not_meet() -> None:
    truth = instances(box(0, 0, *SQUARE, image=2), images=2)
    assert outcomes(judge(truth, [found(0, 0, *SQUARE, 0.9)])) == [(Outcome.BACKGROUND, NOTHING)]


def test_missed_are_those_that_no_detection_is_about() -> None:
    truth = instances(*(box(x, y, 90, 90) for x in (0, 200) for y in (0, 200)))
    detections = [
        found(0, 0, 90, 90, 0.9),  # finds the first
        found(45, 200, 90, 90, 0.8),  # beside the second
        found(200, 0, 90, 90, 0.7, category=2),  # another class than the third
    ]
    judged = judge(truth, detections)
    assert judged.missed().tolist() == [False, False, False, True]
    assert judged.missed(0.75).tolist() == [False, False, True, True]
    assert judged.found().tolist() == [True, False, False, False]
    counts = count_errors(judged, 0.75).counts
    assert counts == {
        "localisation": 1, "classification": 0, "both": 0, "duplicate": 0, "background": 0,
        "missed": 2,
    }  # fmt: skip


def test_average_precision_by_hand() -> None:
    """Right, wrong, right of two objects: 1 at 51 recalls up to 0.5, then 2/3 at 50."""
    scores, right = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    assert average_precision(scores, right, 2) == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert average_precision(scores[::-1], right, 2) == pytest.approx((51 + 50 * 2 / 3) / 101)
    # Wrong first: 1/2 up to recall 0.5, and nothing beyond.
    assert average_precision(scores[:2], right[1:], 2) == pytest.approx(51 * 0.5 / 101)
    assert average_precision(np.zeros(0), np.zeros(0, dtype=bool), 3) == 0


def costs_of(truth: dict[str, Any], *detections: dict[str, Any]) -> dict[str, float]:
    """Costs that are not zero."""
    costs = count_errors(judge(truth, list(detections)), 0).costs
    return {kind: cost for kind, cost in costs.items() if cost > 1e-12}


def test_what_each_kind_costs_alone() -> None:
    one = instances(box(0, 0, *SQUARE))
    right = found(0, 0, *SQUARE, 0.5)
    # No detection is right: mended, the one that is beside the object finds it.
    assert costs_of(one, found(50, 0, *SQUARE, 0.9)) == {"localisation": 1}
    assert costs_of(one, found(0, 0, *SQUARE, 0.9, category=2)) == {"classification": 1}
    # A wrong one before the right one: precision 1/2 at every recall.
    assert costs_of(one, found(290, 290, *SQUARE, 0.9), right) == {"background": 0.5}
    # Of another class, it does not stand in the way.
    assert costs_of(one, found(50, 0, *SQUARE, 0.9, category=2), right) == {}
    assert costs_of(one, right) == {}


def test_a_better_scored_error_beside_a_found_object_is_left_out() -> None:
    """It cannot find the object a second time, but it lowers the precision no more."""
    one = instances(box(0, 0, *SQUARE))
    beside, right = found(50, 0, *SQUARE, 0.9), found(0, 0, *SQUARE, 0.5)
    assert costs_of(one, beside, right) == {"localisation": 0.5}


def test_only_the_best_error_is_mended_for_an_object() -> None:
    """Two beside one object of two: one is mended, one left out; AP is 51/101 then."""
    two = instances(box(0, 0, *SQUARE), box(250, 250, *SQUARE))
    costs = costs_of(two, found(50, 0, *SQUARE, 0.9), found(0, 50, *SQUARE, 0.8))
    assert costs == {"localisation": pytest.approx(51 / 101)}


def test_duplicates_and_missed_objects_cost() -> None:
    """Two objects; one is found, twice, before the other."""
    two = instances(box(0, 0, *SQUARE), box(250, 250, *SQUARE))
    first, again = found(0, 0, *SQUARE, 0.9), found(10, 0, *SQUARE, 0.8)
    other = found(250, 250, *SQUARE, 0.7)
    now = (51 + 50 * 2 / 3) / 101
    assert costs_of(two, first, again, other) == {"duplicate": pytest.approx(1 - now)}
    assert costs_of(two, first) == {"missed": pytest.approx(1 - 51 / 101)}


def test_a_class_that_is_wholly_missed_costs_its_share() -> None:
    truth = instances(box(0, 0, *SQUARE), box(250, 250, *SQUARE, category=2))
    errors = count_errors(judge(truth, [found(0, 0, *SQUARE, 0.9)]), 0)
    assert errors.ap50 == 0.5
    assert errors.costs["missed"] == 0.5


def test_without_objects_there_is_no_ap_and_nothing_costs() -> None:
    errors = count_errors(judge(instances(), [found(0, 0, *SQUARE, 0.9)]), 0)
    assert (errors.ap50, errors.costs) == (None, {})
    assert errors.counts["background"] == 1
    nothing = count_errors(judge({"images": [], "annotations": []}, []), 0)
    assert nothing.ap50 is None


def test_ap50_and_curves_are_those_of_coco() -> None:
    """Random boxes: the AP that errors are taken from is the one in the table."""
    random = np.random.default_rng(0)
    annotations, detections = [], []
    for image in range(1, 31):
        for _ in range(4):
            x, y, w, h = (*random.integers(0, 250, 2), *random.integers(20, 150, 2))
            category = int(random.integers(1, 3))
            annotations.append(box(int(x), int(y), int(w), int(h), image=image, category=category))
            for _ in range(3):
                dx, dy = random.integers(-25, 25, 2)
                seen = category if random.random() < 0.8 else 3 - category
                score = float(random.random())
                detections.append(found(x + dx, y + dy, w, h, score, image=image, category=seen))
    truth = instances(*annotations, images=30)
    judged = judge(truth, detections)
    figures = figures_of(ground_truth(truth), detections, "bbox").figures
    errors = count_errors(judged, 0)
    assert errors.ap50 == pytest.approx(figures["bbox_mAP_50"], abs=1e-9)
    assert all(cost > 0 for kind, cost in errors.costs.items() if kind != "both")
    curves = precision_curves(truth, detections)
    mean = curves.mean(0.75)
    assert mean is not None
    assert mean.mean() == pytest.approx(figures["bbox_mAP_75"], abs=1e-9)


def test_curves_by_hand() -> None:
    """Right and then wrong at IoU 0.5, wrong at 0.75; a class without objects has no curve."""
    truth = instances(box(0, 0, *SQUARE), box(250, 250, *SQUARE))
    detections = [found(20, 0, *SQUARE, 0.9), found(0, 250, *SQUARE, 0.8)]
    curves = precision_curves(truth, detections)
    assert list(curves.classes) == ["c1"]
    assert curves.classes["c1"][0.5].tolist() == [1.0] * 51 + [0.0] * 50
    assert curves.classes["c1"][0.75].tolist() == [0.0] * 101
    assert precision_curves(instances(), []).mean(0.5) is None


def test_the_most_useful_threshold_is_where_f1_is_highest() -> None:
    """F1 at 0.9: 2/3; at 0.8: 1/2; at 0.7: 4/5, of two objects; at 0.1: 4/6."""
    truth = instances(box(0, 0, *SQUARE), box(250, 250, *SQUARE))
    detections = [
        found(0, 0, *SQUARE, 0.9),
        found(0, 250, *SQUARE, 0.8),
        found(250, 250, *SQUARE, 0.7),
        found(250, 0, *SQUARE, 0.1),
    ]
    judged = judge(truth, detections)
    assert most_useful_threshold(judged) == 0.7
    assert f1_of_images(judged, 0.7, [1]) == {1: 0.8}
    assert f1_of_images(judged, 0.85, [1]) == {1: pytest.approx(2 / 3)}
    assert most_useful_threshold(judge(instances(), detections)) == 0
    assert most_useful_threshold(judge(truth, [])) == 0


def test_detections_of_one_score_count_together() -> None:
    """Right and wrong share the score 0.5: F1 is 2/3 with both, not 1 with one of them."""
    truth = instances(box(0, 0, *SQUARE), images=2)
    detections = [found(0, 0, *SQUARE, 0.5), found(250, 0, *SQUARE, 0.5)]
    judged = judge(truth, detections)
    assert most_useful_threshold(judged) == 0.5
    assert f1_of_images(judged, 0.5, [1, 2]) == {1: pytest.approx(2 / 3), 2: 1.0}
