"""CrowdHuman's figures: cases worked out by hand, a naive implementation, MMDetection's."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmdet.evaluation.metrics import crowdhuman_metric as mmdet

from mtpd.errors import UserError
from mtpd.evaluation.crowdhuman import FALSE_POSITIVES, crowd_figures

SIDE = 100

Box = list[float]
Scene = dict[str, list[Any]]
"""Boxes of ``persons`` and ``regions``; ``found`` has pairs of box and score."""


def scene(persons: list[Box], found: list[tuple[Box, float]], regions: list[Box] = ()) -> Scene:  # type: ignore[assignment]
    return {"persons": persons, "found": found, "regions": list(regions)}


def figures(folder: Path, *scenes: Scene) -> dict[str, float | None]:
    """Figures of images of 100x100 pixels with the ids 10, 11 and so on."""
    images, annotations, detections = [], [], []
    for number, part in enumerate(scenes, start=10):
        images.append({"id": number, "file_name": f"{number}.jpg", "width": SIDE, "height": SIDE})
        for key, crowd in (("persons", 0), ("regions", 1)):
            for box in part[key]:
                item = {"id": len(annotations) + 1, "image_id": number, "category_id": 1}
                annotations.append(item | {"bbox": box, "iscrowd": crowd})
        for box, score in part["found"]:
            detections.append({"image_id": number, "category_id": 1, "bbox": box, "score": score})
    truth, results = folder / "truth.json", folder / "results.json"
    truth.write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    results.write_text(json.dumps(detections))
    return crowd_figures(truth, results)


def test_two_images_worked_out_by_hand(tmp_path: Path) -> None:
    first = scene(
        persons=[[0, 0, 20, 40], [50, 0, 20, 40]],
        found=[
            ([0, 0, 20, 40], 0.9),  # the first person
            ([10, 70, 20, 20], 0.8),  # ignored
            ([0, 0, 20, 40], 0.7),  # the first person again: false
            ([50, 10, 20, 40], 0.5),  # the second person: 600 / 1000
        ],
        regions=[[0, 60, 100, 40]],
    )
    second = scene(
        persons=[[10, 10, 20, 20], [60, 60, 20, 20]],  # the second is missed
        found=[([10, 10, 20, 20], 0.6)],
    )
    # By score: right, false, right, right. Recall 1/4, 1/4, 2/4, 3/4; precision 1, 1/2, 2/3, 3/4.
    ap = (1 / 2 + 2 / 3) / 2 / 4 + (2 / 3 + 3 / 4) / 2 / 4
    # False positives per image 0, 1/2, 1/2, 1/2: seven of the nine points are reached by the false
    # detection, with 3/4 missed; the last two never, where 1/4 is missed at the end.
    mr = ((3 / 4) ** 7 * (1 / 4) ** 2) ** (1 / 9)
    # Above 0: two pairs of 2 persons and 3 detections that count; one of 2 persons and 1 detection.
    ji = (2 / 3 + 1 / 2) / 2
    assert figures(tmp_path, first, second) == pytest.approx(
        {"crowd_AP": ap, "crowd_MR": mr, "crowd_JI": ji}, abs=1e-12
    )


def test_a_person_goes_before_an_ignore_region(tmp_path: Path) -> None:
    """What finds a person inside a region is right; a person there whom nothing finds is missed."""
    persons: list[Box] = [[0, 0, 20, 20], [40, 40, 20, 20]]
    found: list[tuple[Box, float]] = [([0, 0, 20, 20], 0.9)]
    result = figures(tmp_path, scene(persons, found, regions=[[0, 0, SIDE, SIDE]]))
    # The Jaccard index forgives the missed person in the region, the miss rate does not.
    assert result == {"crowd_AP": 0.0, "crowd_MR": pytest.approx(0.5), "crowd_JI": 1.0}


@pytest.mark.parametrize(("width", "counts"), [(20, True), (21, False)])
def test_more_than_half_of_a_detection_must_lie_in_a_region(
    tmp_path: Path, width: int, counts: bool
) -> None:
    persons: list[Box] = [[80, 80, 10, 10]]
    found: list[tuple[Box, float]] = [([0, 0, 40, 40], 0.9), ([80, 80, 10, 10], 0.8)]
    result = figures(tmp_path, scene(persons, found, regions=[[0, 0, width, 40]]))
    assert result["crowd_JI"] == (0.5 if counts else 1.0)


def test_half_an_overlap_is_no_match(tmp_path: Path) -> None:
    result = figures(tmp_path, scene([[0, 0, 20, 20]], [([0, 0, 10, 20], 0.9)]))
    assert result == {"crowd_AP": 0.0, "crowd_MR": 1.0, "crowd_JI": 0.0}


def test_boxes_are_clipped_to_the_image(tmp_path: Path) -> None:
    """A person of whom a quarter is seen is found by a box around that quarter."""
    persons: list[Box] = [[-50, -50, 100, 100], [90, 90, 60, 60]]
    found: list[tuple[Box, float]] = [([0, 0, 50, 50], 0.9), ([90, 90, 10, 10], 0.8)]
    result = figures(tmp_path, scene(persons, found))
    assert result == {"crowd_AP": 0.5, "crowd_MR": 0.0, "crowd_JI": 1.0}


def test_the_jaccard_index_pairs_by_the_sum_of_overlaps(tmp_path: Path) -> None:
    """Two pairs of IoU 1 are taken, where three of 0.515 would be possible."""
    places = {"persons": (3.2, 6.4, 9.6), "found": (0.0, 3.2, 6.4)}
    persons = [[x, 0, 10, 10] for x in places["persons"]]
    found = [([x, 0, 10, 10], 0.9) for x in places["found"]]
    assert figures(tmp_path, scene(persons, found))["crowd_JI"] == pytest.approx(2 / (3 + 3 - 2))


def test_all_detections_count(tmp_path: Path) -> None:
    """400 persons in one image: COCO's limit is 100 detections."""
    boxes: list[Box] = [[x * 5, y * 5, 5, 5] for x in range(20) for y in range(20)]
    result = figures(tmp_path, scene(boxes, [(box, 0.95) for box in boxes]))
    assert result == {"crowd_AP": pytest.approx(1 - 1 / 400), "crowd_MR": 0.0, "crowd_JI": 1.0}


def test_nothing_found(tmp_path: Path) -> None:
    empty = scene([[0, 0, 20, 20]], [])
    assert figures(tmp_path, empty) == {"crowd_AP": 0.0, "crowd_MR": 1.0, "crowd_JI": 0.0}


def test_nothing_to_find(tmp_path: Path) -> None:
    result = figures(tmp_path, scene([], [([0, 0, 20, 20], 0.9)], regions=[[0, 0, 50, 50]]))
    assert result == dict.fromkeys(("crowd_AP", "crowd_MR", "crowd_JI"))


def test_images_without_persons_have_false_detections(tmp_path: Path) -> None:
    found = scene([[0, 0, 20, 20]], [([0, 0, 20, 20], 0.8)])
    assert figures(tmp_path, found, scene([], []))["crowd_JI"] == 1.0
    assert figures(tmp_path, found, scene([], [([5, 5, 9, 9], 0.85)]))["crowd_JI"] == 0.5


def test_detections_of_an_unknown_image(tmp_path: Path) -> None:
    figures(tmp_path, scene([[0, 0, 20, 20]], []))
    detection = {"image_id": 99, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5}
    (tmp_path / "results.json").write_text(json.dumps([detection]))
    with pytest.raises(UserError, match=r"results\.json: has detections of image 99"):
        crowd_figures(tmp_path / "truth.json", tmp_path / "results.json")


def random_scene(draw: random.Random) -> Scene:
    """Up to four persons, of which some are found, with boxes beyond the image's border."""

    def box() -> Box:
        corner = [draw.randint(-15, SIDE - 5) for _ in range(2)]
        return [*corner, draw.randint(10, 50), draw.randint(10, 50)]

    def near(other: Box) -> Box:
        return [*(v + draw.randint(-4, 4) for v in other[:2]), *other[2:]]

    persons = [box() for _ in range(draw.randint(1, 4))]
    boxes = [near(draw.choice(persons)) for _ in range(draw.randint(0, 4))]
    boxes += [box() for _ in range(draw.randint(0, 3))]
    # Scores of one decimal: many are equal, and many lie on a threshold.
    found = [(b, draw.randint(1, 10) / 10) for b in boxes]
    return scene(persons, found, regions=[box() for _ in range(draw.randint(0, 2))])


RANDOM = range(40)


@pytest.mark.parametrize("seed", RANDOM)
def test_against_the_naive_implementation(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    scenes = [random_scene(draw) for _ in range(draw.randint(1, 12))]
    assert figures(tmp_path, *scenes) == pytest.approx(naive_figures(scenes), abs=1e-12)


@pytest.mark.parametrize("seed", RANDOM)
def test_ap_and_miss_rate_against_mmdetection(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    scenes = [random_scene(draw) for _ in range(draw.randint(1, 12))]
    scenes[0]["found"].append((scenes[0]["persons"][0], 1.0))  # MMDetection needs one detection
    samples = {}
    for number, part in enumerate(scenes):
        tags = [("person", box) for box in part["persons"]]
        tags += [("mask", box) for box in part["regions"]]
        truth = {"gtboxes": [{"tag": tag, "fbox": box, "hbox": box} for tag, box in tags]}
        found = {"dtboxes": [{"box": box, "score": score} for box, score in part["found"]]}
        sample = samples[number] = mmdet.Image(0)
        sample.load({"ID": number, **truth}, "box", None, mmdet.PERSON_CLASSES, True)
        sample.load(
            {"width": SIDE, "height": SIDE, **found}, "box", None, mmdet.PERSON_CLASSES, False
        )
        sample.clip_all_boader()
    metric = mmdet.CrowdHumanMetric("none.odgt")
    persons = sum(len(part["persons"]) for part in scenes)
    by_score = metric.compare(samples)
    with np.errstate(divide="ignore"):
        expected = {
            "crowd_AP": metric.eval_ap(by_score, persons, len(scenes)),
            "crowd_MR": metric.eval_mr(by_score, persons, len(scenes)),
        }
    result = figures(tmp_path, *scenes)
    assert {key: result[key] for key in expected} == pytest.approx(expected, abs=1e-12)


# The naive implementation: one box at a time, pairs by trying all of them.


def naive_figures(scenes: list[Scene]) -> dict[str, float]:
    clipped = [
        {
            "persons": [naive_clip(box) for box in part["persons"]],
            "regions": [naive_clip(box) for box in part["regions"]],
            "found": [(naive_clip(box), score) for box, score in part["found"]],
        }
        for part in scenes
    ]
    verdicts = sorted((v for part in clipped for v in naive_verdicts(part)), key=lambda v: -v[0])
    total = sum(len(part["persons"]) for part in clipped)
    curve = []
    right = 0
    for count, (_, is_right) in enumerate(verdicts, start=1):
        right += is_right
        curve.append((right / total, right / count, (count - right) / len(clipped)))
    ap = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(curve))
    product = 1.0
    for point in FALSE_POSITIVES:
        reached = [recall for recall, _, false in curve if false >= point]
        recall = reached[0] if reached else (curve[-1][0] if curve else 0)
        product *= 1 - recall
    thresholds = [0.1 * i for i in range(10)]
    ji = max(naive_jaccard(clipped, threshold) for threshold in thresholds)
    return {"crowd_AP": ap, "crowd_MR": product ** (1 / 9), "crowd_JI": ji}


def naive_clip(box: Box) -> Box:
    x, y, width, height = box
    return [
        min(max(x, 0), SIDE - 1),
        min(max(y, 0), SIDE - 1),
        max(min(x + width, SIDE), 0),
        max(min(y + height, SIDE), 0),
    ]


def naive_overlap(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0


def naive_area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def naive_iou(a: Box, b: Box) -> float:
    common = naive_overlap(a, b)
    return common / (naive_area(a) + naive_area(b) - common) if common else 0


def naive_is_ignored(box: Box, regions: list[Box]) -> bool:
    return any(naive_overlap(box, region) > naive_area(box) / 2 for region in regions)


def naive_verdicts(part: Scene) -> Iterator[tuple[float, bool]]:
    """Score of every detection that counts, and whether it is right, by falling score."""
    taken: set[int] = set()
    for box, score in sorted(part["found"], key=lambda pair: -pair[1]):
        best, best_iou = None, 0.5
        for i, person in enumerate(part["persons"]):
            if i not in taken and naive_iou(box, person) > best_iou:
                best, best_iou = i, naive_iou(box, person)
        if best is not None:
            taken.add(best)
            yield score, True
        elif not naive_is_ignored(box, part["regions"]):
            yield score, False


def naive_jaccard(scenes: list[Scene], threshold: float) -> float:
    ratios = []
    for part in scenes:
        persons, regions = part["persons"], part["regions"]
        found = [box for box, score in part["found"] if score > threshold]
        pairs = max(naive_pairings(found, persons), key=lambda p: naive_sum(p, found, persons))
        left = [box for i, box in enumerate(found) if i not in dict(pairs)]
        alone = [box for j, box in enumerate(persons) if j not in {j for _, j in pairs}]
        left = [box for box in left if not naive_is_ignored(box, regions)]
        alone = [box for box in alone if not naive_is_ignored(box, regions)]
        if pairs or left or alone:
            ratios.append(len(pairs) / (len(pairs) + len(left) + len(alone)))
    return sum(ratios) / len(ratios) if ratios else 0


def naive_sum(pairs: list[tuple[int, int]], found: list[Box], persons: list[Box]) -> float:
    return math.fsum(naive_iou(found[i], persons[j]) for i, j in pairs)


def naive_pairings(
    found: list[Box], persons: list[Box], first: int = 0, used: frozenset[int] = frozenset()
) -> Iterator[list[tuple[int, int]]]:
    """Every way to pair detections from ``first`` on with persons, none twice, by IoU above 1/2."""
    if first == len(found):
        yield []
        return
    yield from naive_pairings(found, persons, first + 1, used)
    for j, person in enumerate(persons):
        if j not in used and naive_iou(found[first], person) > 0.5:
            for rest in naive_pairings(found, persons, first + 1, used | {j}):
                yield [(first, j), *rest]
