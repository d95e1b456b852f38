"""COCO's figures on sets small enough to work them out with a pencil.

A detector that finds half of the objects and nothing wrong has precision 1 at the recalls 0, 0.01,
… 0.5, which are 51 of 101, and 0 beyond.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from micro import SHARED_DATA
from pycocotools import mask as rle
from pycocotools.coco import COCO
from truth import box, by_hand, found, mask, write

from mtpd.evaluation.coco import FIGURES, Kind, coco_figures

HALF = 51 / 101


def test_one_of_two_boxes_found_at_an_iou_of_exactly_0_6(tmp_path: Path) -> None:
    """It counts at the thresholds 0.50, 0.55 and 0.60, which are 3 of 10."""
    files = write(
        tmp_path,
        [box(0, 0, 100, 100), box(200, 200, 100, 100)],
        [found(0, 0, 100, 60, 0.9)],
    )
    measured = coco_figures(*files, "bbox")
    assert list(measured.figures) == [f"bbox_{name}" for name in FIGURES]
    expected = {
        "mAP": 0.3 * HALF, "mAP_50": HALF, "mAP_75": 0.0,
        "mAP_s": None, "mAP_m": None, "mAP_l": 0.3 * HALF,
        "AR_1": 0.15, "AR_10": 0.15, "AR_100": 0.15,
        "AR_s": None, "AR_m": None, "AR_l": 0.15,
    }  # fmt: skip
    for name, value in expected.items():
        assert measured.figures[f"bbox_{name}"] == (value and pytest.approx(value)), name
    assert measured.classes == {"c1": pytest.approx(0.3 * HALF)}


def test_figures_are_not_rounded(tmp_path: Path) -> None:
    files = write(tmp_path, [box(0, 0, 50, 50), box(90, 90, 50, 50)], [found(0, 0, 50, 50, 0.9)])
    assert coco_figures(*files, "bbox").figures["bbox_mAP"] == pytest.approx(HALF, abs=1e-12)


def test_a_wrong_box_of_higher_score(tmp_path: Path) -> None:
    """The right one comes second: precision 1/2 at every recall, and recall 0 of the first."""
    files = write(
        tmp_path,
        [box(0, 0, 50, 50)],
        [found(0, 0, 50, 50, 0.8), found(200, 200, 50, 50, 0.9)],
    )
    figures = coco_figures(*files, "bbox").figures
    assert figures["bbox_mAP"] == pytest.approx(0.5)
    assert figures["bbox_mAP_m"] == pytest.approx(0.5)
    assert (figures["bbox_AR_1"], figures["bbox_AR_10"]) == (0, 1)


@pytest.mark.parametrize(("wrong", "ap", "recall"), [(99, 0.01, 1), (100, 0, 0)])
def test_an_image_has_at_most_100_detections(
    tmp_path: Path, wrong: int, ap: float, recall: float
) -> None:
    many = [found(200, 200, 50, 50, 0.9) for _ in range(wrong)]
    files = write(tmp_path, [box(0, 0, 50, 50)], [*many, found(0, 0, 50, 50, 0.1)])
    figures = coco_figures(*files, "bbox").figures
    assert figures["bbox_mAP"] == pytest.approx(ap)
    assert figures["bbox_mAP_50"] == pytest.approx(ap)
    assert (figures["bbox_AR_10"], figures["bbox_AR_100"]) == (0, recall)


@pytest.mark.parametrize(("crowd", "ap"), [(1, 1), (0, HALF / 3)])
def test_what_lies_in_a_crowd_is_neither_right_nor_wrong(
    tmp_path: Path, crowd: int, ap: float
) -> None:
    """Two small boxes in a wide one, and a third that finds the other object.

    If the wide one is a crowd, all is found. Else the third is the only one of three that is right,
    and finds one of two objects: precision is 1/3 up to half of the recall.
    """
    inside = [found(210, 210, 20, 20, 0.95), found(250, 250, 20, 20, 0.94)]
    files = write(
        tmp_path,
        [box(0, 0, 50, 50), box(200, 200, 100, 100, crowd=crowd)],
        [*inside, found(0, 0, 50, 50, 0.9)],
    )
    assert coco_figures(*files, "bbox").figures["bbox_mAP"] == pytest.approx(ap)


def test_images_without_detections_and_without_objects(tmp_path: Path) -> None:
    """Found in the first image, missed in the second, wrong but unsure in the third."""
    files = write(
        tmp_path,
        [box(0, 0, 50, 50), box(0, 0, 50, 50, image=2)],
        [found(0, 0, 50, 50, 0.9), found(0, 0, 50, 50, 0.2, image=3)],
        images=3,
    )
    figures = coco_figures(*files, "bbox").figures
    assert figures["bbox_mAP"] == pytest.approx(HALF)
    assert figures["bbox_AR_1"] == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_no_detections_at_all(tmp_path: Path, kind: Kind) -> None:
    truth = {**box(0, 0, 20, 20), "segmentation": mask(0, 0, 20, 20)}
    figures = coco_figures(*write(tmp_path, [truth], []), kind).figures
    assert [figures[f"{kind}_{name}"] for name in ("mAP", "mAP_s", "AR_1")] == [0, 0, 0]
    assert figures[f"{kind}_mAP_l"] is None


def test_nothing_to_find_is_none(tmp_path: Path) -> None:
    files = write(tmp_path, [box(0, 0, 50, 50, crowd=1)], [found(300, 300, 50, 50, 0.9)])
    measured = coco_figures(*files, "bbox")
    assert set(measured.figures.values()) == {None}
    assert measured.classes == {"c1": None}


def test_a_class_that_is_not_there_does_not_count(tmp_path: Path) -> None:
    files = write(
        tmp_path,
        [box(0, 0, 50, 50), box(100, 100, 50, 50, category=3)],
        [found(0, 0, 50, 50, 0.9), found(0, 0, 50, 50, 0.9, category=2)],
        categories=3,
    )
    measured = coco_figures(*files, "bbox")
    assert measured.classes == {"c1": pytest.approx(1), "c2": None, "c3": 0}
    assert measured.figures["bbox_mAP"] == pytest.approx(0.5)


def test_an_annotation_of_id_0_is_found_like_any_other(tmp_path: Path) -> None:
    files = write(tmp_path, [box(0, 0, 50, 50)], [found(0, 0, 50, 50, 0.9)], first_id=0)
    assert coco_figures(*files, "bbox").figures["bbox_mAP"] == pytest.approx(1)


def test_masks_are_compared_by_their_pixels(tmp_path: Path) -> None:
    """A mask that covers 6 of the object's 10 rows: 3 of 10 thresholds."""
    truth = {**box(0, 0, 100, 100), "segmentation": mask(0, 0, 100, 100)}
    seen = {"image_id": 1, "category_id": 1, "segmentation": mask(0, 0, 100, 60), "score": 0.9}
    measured = coco_figures(*write(tmp_path, [truth], [seen]), "segm")
    assert measured.figures["segm_mAP"] == pytest.approx(0.3)
    assert measured.figures["segm_AR_100"] == pytest.approx(0.3)
    assert measured.classes == {"c1": pytest.approx(0.3)}


def crowded(images: int, kind: Kind) -> tuple[list[dict], list[dict]]:
    """Boxes and masks of all sizes, found more or less well, among crowds and wrong ones.

    Scores have two decimals, so that many are equal; one image has more detections than count.
    """
    random = np.random.default_rng(0)
    truth, detections = [], []
    for image in range(1, images + 1):
        for _ in range(random.integers(0, 7) if image > 1 else 150):
            sides = random.integers(10, 150, 2)
            corner = random.integers(0, 240, 2)
            category = int(random.integers(1, 4))
            place = (*corner.tolist(), *sides.tolist())
            crowd = int(random.random() < 0.1)
            own = box(*place, image=image, category=category, crowd=crowd)
            truth.append({**own, "segmentation": mask(*place)})
            for _ in range(random.integers(0, 4)):
                shift = random.integers(0, 1 + sides // 6)
                moved = (*(corner + shift).tolist(), *sides.tolist())
                score = round(float(random.random()), 2)
                detection = found(*moved, score, image=image, category=int(random.integers(1, 4)))
                if random.random() < 0.7:
                    detection["category_id"] = category
                if kind == "segm":
                    detection["segmentation"] = mask(*moved)
                    del detection["bbox"]
                detections.append(detection)
    return truth, detections


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_equal_to_pycocotools(tmp_path: Path, kind: Kind) -> None:
    files = write(tmp_path, *crowded(40, kind), images=40, categories=3)
    figures = coco_figures(*files, kind).figures
    expected = by_hand(*files, kind)
    assert list(figures.values()) == pytest.approx(expected, rel=0, abs=1e-12)
    assert sum(0 < (value or 0) < 1 for value in expected) >= 10


REAL = [
    SHARED_DATA / "tiny_coco" / "annotations" / f"instances_{split}2017.json"
    for split in ("train", "val")
]


@pytest.mark.parametrize("annotations", REAL, ids=lambda path: path.stem)
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_equal_to_pycocotools_on_real_annotations(
    tmp_path: Path, annotations: Path, kind: Kind
) -> None:
    """What is annotated, moved a little and scored at random."""
    if not annotations.exists():
        pytest.skip("the data of the project's shared folder is not there")
    random = np.random.default_rng(0)
    truth = COCO(str(annotations))
    detections = []
    for item in truth.dataset["annotations"]:
        common = {key: item[key] for key in ("image_id", "category_id")}
        common["score"] = round(float(random.random()), 2)
        if kind == "segm":
            code = truth.annToRLE(item)
            pixels = np.roll(rle.decode(code), random.integers(0, 9), axis=1)
            code = rle.encode(np.asfortranarray(pixels))
            code["counts"] = code["counts"].decode()
            detections.append({**common, "segmentation": code})
        else:
            moved = np.array(item["bbox"]) * random.uniform(0.9, 1.1, 4)
            detections.append({**common, "bbox": moved.tolist()})
    file = tmp_path / "detections.json"
    file.write_text(json.dumps(detections))
    figures = coco_figures(annotations, file, kind).figures
    expected = by_hand(annotations, file, kind)
    assert list(figures.values()) == pytest.approx(expected, rel=0, abs=1e-12)
    assert 0.1 < (expected[0] or 0) < 0.9
