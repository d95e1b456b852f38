"""What has one obvious meaning is taken and counted, in the check and in the data step alike."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data.yolo_folder import add_image
from pycocotools import mask as coco_mask

from mtpd.data.coco import CocoSummary, Rules, check_coco
from mtpd.data.inspection import inspect_coco
from mtpd.data.tidy import Classes
from mtpd.errors import UserError

Coco = dict[str, Any]
SQUARE = [[4, 4, 14, 4, 14, 14, 4, 14]]
TRIANGLE = [[4, 4, 14, 4, 14, 14]]


@pytest.fixture
def coco() -> Coco:
    """Two images of 40x20, each with a cat and a dog of 10x10."""
    boxes = [
        {
            "id": i, "image_id": 1 + i // 2, "category_id": 1 + i % 2, "bbox": [4, 4, 10, 10],
            "area": 100, "iscrowd": 0, "segmentation": SQUARE,
        }
        for i in range(4)
    ]  # fmt: skip
    return {
        "images": [
            {"id": i, "file_name": f"{'ab'[i - 1]}.png", "width": 40, "height": 20} for i in (1, 2)
        ],
        "annotations": boxes,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "deep/c.png"):
        add_image(tmp_path / "images" / name)
    return tmp_path / "images"


def checked(images: Path, coco: Coco, rules: Rules | None = None) -> tuple[CocoSummary, Coco]:
    """What the data step makes of it; the check must say the same."""
    rules = rules or Rules()
    path = images.parent / "instances.json"
    path.write_text(json.dumps(coco))
    summary = check_coco(path, images, rules, cleaned=images.parent / "cleaned.json")
    inspection = inspect_coco(path, images, rules, source=path)
    assert inspection.problems == ()
    assert inspection.classes == summary.classes
    said = [str(remark) for remark in inspection.remarks]
    assert all(str(remark) in said for remark in summary.remarks)
    return summary, json.loads(summary.annotations.read_text())


def refused(images: Path, coco: Coco, rules: Rules | None = None) -> str:
    """The data step's line, which must be among the check's."""
    rules = rules or Rules()
    path = images.parent / "instances.json"
    path.write_text(json.dumps(coco))
    with pytest.raises(UserError) as caught:
        check_coco(path, images, rules, cleaned=images.parent / "cleaned.json")
    inspection = inspect_coco(path, images, rules, source=path)
    assert str(caught.value) in [str(problem) for problem in inspection.problems]
    return str(caught.value)


def test_nothing_to_take(images: Path, coco: Coco) -> None:
    summary, found = checked(images, coco)
    assert summary.remarks == ()
    assert summary.annotations.name == "instances.json"
    assert found == coco


def every(key: str, value: Any) -> Callable[[Coco], object]:
    """Sets ``key`` of the first two annotations; ``...`` takes it out."""

    def change(coco: Coco) -> None:
        for item in coco["annotations"][:2]:
            if value is ...:
                del item[key]
            else:
                item[key] = value

    return change


TAKEN: dict[str, tuple[Callable[[Coco], object], str]] = {
    "no area": (every("area", ...), "2 of 4 annotations have no 'area' above 0 (first id 0)"),
    "area null": (every("area", None), "2 of 4 annotations have no 'area' above 0"),
    "area 0": (every("area", 0), "2 of 4 annotations have no 'area' above 0"),
    "area negative": (every("area", -100.0), "2 of 4 annotations have no 'area' above 0"),
    "area NaN": (every("area", math.nan), "2 of 4 annotations have no 'area' above 0"),
    "no iscrowd": (every("iscrowd", ...), "2 of 4 annotations have no 'iscrowd' (first id 0)"),
    "iscrowd null": (every("iscrowd", None), "2 of 4 annotations have no 'iscrowd'"),
    "whole numbers": (every("category_id", 1.0), "2 of 4 have numbers such as 1.0"),
    "size 40.0": (lambda c: c["images"][0].update(width=40.0), "1 of 2 have numbers such as 1.0"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken_is_counted(images: Path, coco: Coco, name: str) -> None:
    change, said = TAKEN[name]
    expected = json.loads(json.dumps(coco))
    change(coco)
    summary, found = checked(images, coco)
    (remark,) = summary.remarks
    assert said in str(remark)
    assert summary.annotations.name == "cleaned.json"
    if name == "whole numbers":
        expected["annotations"][1]["category_id"] = 1
    assert found == expected


def test_areas_come_from_the_mask_or_the_box(images: Path, coco: Coco) -> None:
    pixels = coco_mask.frPyObjects(TRIANGLE, 20, 40)[0]
    masks = [TRIANGLE, [], {"size": [20, 40], "counts": pixels["counts"].decode()}, None]
    for item, mask in zip(coco["annotations"], masks, strict=True):
        del item["area"]
        item["segmentation"] = mask
    _, found = checked(images, coco)
    areas = [item["area"] for item in found["annotations"]]
    assert areas[:2] == [50, 100]
    assert areas[2:] == [float(coco_mask.area(pixels)), 100]


def test_a_bad_box_without_area_stays_bad(images: Path, coco: Coco) -> None:
    coco["annotations"][1].update(area=0, bbox=[4, 4, 0, 10])
    with pytest.raises(UserError, match="is of no area"):
        checked(images, coco)


def test_ignored_boxes_are_crowds(images: Path, coco: Coco) -> None:
    every("ignore", 1)(coco)
    coco["annotations"][3]["ignore"] = 0
    summary, found = checked(images, coco)
    assert [item["iscrowd"] for item in found["annotations"]] == [1, 1, 0, 0]
    # MMDetection would drop a box with this key, crowd or not.
    assert not any(item.get("ignore") for item in found["annotations"])
    assert summary.n_crowds == 2
    assert "2 of 4 annotations have 'ignore': 1 (first id 0)" in str(summary.remarks[0])


def test_windows_separators(images: Path, coco: Coco) -> None:
    coco["images"][1]["file_name"] = "deep\\c.png"
    summary, found = checked(images, coco)
    assert found["images"][1]["file_name"] == "deep/c.png"
    assert "1 of 2 file names have Windows' separators" in str(summary.remarks[0])
    # On Linux a name may have such a character.
    add_image(images / "deep\\c.png")
    summary, found = checked(images, coco)
    assert found["images"][1]["file_name"] == "deep\\c.png"
    assert summary.remarks == ()


# Masks


def test_one_mask_that_is_missing_is_named(images: Path, coco: Coco) -> None:
    for bad in ([], [[4, 4, 9, 9]], None, {"size": [20, 40]}):
        coco["annotations"][2]["segmentation"] = bad
        summary, _ = checked(images, coco)
        assert not summary.has_masks
        line = "annotation 2 of image b.png has no mask, as 1 of 4"
        assert str(summary.unmasked).endswith(line)


def test_a_crowd_without_a_mask_has_its_box(images: Path, coco: Coco) -> None:
    coco["annotations"][2].update(iscrowd=1, segmentation=[])
    summary, found = checked(images, coco)
    assert summary.has_masks
    assert found["annotations"][2]["segmentation"] == SQUARE
    assert "1 of 4 annotations are crowds without mask (first id 2)" in str(summary.remarks[0])


def test_data_without_masks_needs_none(images: Path, coco: Coco) -> None:
    for item in coco["annotations"]:
        del item["segmentation"]
    coco["annotations"][0]["iscrowd"] = 1
    summary, found = checked(images, coco)
    assert summary.remarks == ()
    assert not summary.has_masks
    assert found == coco


# Categories


def with_root(coco: Coco, name: str) -> Coco:
    for category in coco["categories"]:
        category["supercategory"] = name
    root = {"id": 0, "name": name, "supercategory": "none"}
    return {**coco, "categories": [root, *coco["categories"]]}


@pytest.mark.parametrize("name", ["pets", "cat"])
@pytest.mark.parametrize("expected", [None, ("cat", "dog")])
def test_the_root_category_of_roboflow(
    images: Path, coco: Coco, name: str, expected: tuple[str, ...] | None
) -> None:
    rules = Rules(classes=Classes(expected))
    summary, found = checked(images, with_root(coco, name), rules)
    assert summary.classes == ("cat", "dog")
    assert [category["id"] for category in found["categories"]] == [1, 2]
    assert f"'{name}' has no annotation, and all other categories" in str(summary.remarks[0])


def test_what_is_no_root_stays(images: Path, coco: Coco) -> None:
    """One that is annotated, and one that is not above all others."""
    annotated = with_root(coco, "pets")
    annotated["annotations"][0]["category_id"] = 0
    assert checked(images, annotated)[0].classes == ("pets", "cat", "dog")
    beside = with_root(coco, "pets")
    beside["categories"][1]["supercategory"] = "animals"
    assert checked(images, beside)[0].classes == ("pets", "cat", "dog")


def test_categories_are_mapped_by_name(images: Path, coco: Coco) -> None:
    coco["categories"] = [{"id": 2, "name": "dog"}, {"id": 1, "name": "cat"}]
    summary, found = checked(images, coco, Rules(classes=Classes(("cat", "dog"))))
    assert summary.classes == ("cat", "dog")
    assert found["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert [item["category_id"] for item in found["annotations"]] == [1, 2, 1, 2]
    assert "another order than in train" in str(summary.remarks[0])


def test_other_ids_need_no_change(images: Path, coco: Coco) -> None:
    """MMDetection and the evaluation go by the ids of each file."""
    for category in coco["categories"]:
        category["id"] += 10
    for item in coco["annotations"]:
        item["category_id"] += 10
    summary, _ = checked(images, coco, Rules(classes=Classes(("cat", "dog"))))
    assert summary.remarks == ()


def test_a_class_that_the_split_has_not(images: Path, coco: Coco) -> None:
    summary, found = checked(images, coco, Rules(classes=Classes(("ant", "cat", "dog"))))
    assert summary.classes == ("ant", "cat", "dog")
    assert [category["id"] for category in found["categories"]] == [3, 1, 2]
    assert summary.boxes_per_class == {"ant": 0, "cat": 2, "dog": 2}
    assert "'ant' of train not there" in str(summary.remarks[0])


def test_a_class_that_train_has_not(images: Path, coco: Coco) -> None:
    line = refused(images, coco, Rules(classes=Classes(("cat", "Dog"))))
    assert "2 annotations are of 'dog', which train does not have" in line
    assert "there is 'Dog', which has U+0044 (LATIN CAPITAL LETTER D) as character 1" in line
    for item in coco["annotations"]:
        item["category_id"] = 1
    summary, found = checked(images, coco, Rules(classes=Classes(("cat",))))
    assert summary.classes == ("cat",)
    assert len(found["annotations"]) == 4
    assert "0 annotations of other classes ('dog')" in str(summary.remarks[0])


def test_classes_are_chosen_in_order(images: Path, coco: Coco) -> None:
    summary, _ = checked(images, coco, Rules(classes=Classes(chosen=("dog", "cat"))))
    assert summary.classes == ("dog", "cat")
    assert summary.boxes_per_class == {"dog": 2, "cat": 2}
    summary, _ = checked(images, coco, Rules(classes=Classes(chosen=("dog",))))
    assert (summary.classes, summary.n_images, summary.n_boxes) == (("dog",), 2, 2)
    assert "2 annotations of other classes ('cat'); they are left out" in str(summary.remarks[0])
    other = Rules(classes=Classes(expected=("dog",), chosen=("dog",)))
    assert checked(images, coco, other)[0].classes == ("dog",)


def test_a_chosen_class_that_is_not_there(images: Path, coco: Coco) -> None:
    line = refused(images, coco, Rules(classes=Classes(chosen=("dog", "cow"))))
    assert "categories: has no class 'cow'; choose data.classes of: cat, dog" in line


def test_empty_images_are_counted(images: Path, coco: Coco) -> None:
    coco["annotations"] = coco["annotations"][:2]
    assert checked(images, coco)[0].n_empty == 1
