"""Pascal VOC to COCO: boxes worked out by hand, and every refusal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from micro import SHARED_DATA
from PIL import Image
from pydantic import ValidationError

from mtpd.data.coco import TOO_SMALL, Rules, check_coco
from mtpd.data.voc import convert_voc
from mtpd.errors import UserError
from mtpd.settings.data import VocData

DROP = Rules(bad_boxes="drop")


def xml_object(name: str, box: tuple[Any, Any, Any, Any], extra: str = "") -> str:
    corners = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    inside = "".join(f"<{tag}>{value}</{tag}>" for tag, value in corners)
    return f"<object><name>{name}</name>{extra}<bndbox>{inside}</bndbox></object>"


def xml(*objects: str, width: Any = 40, height: Any = 30) -> str:
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation>{size}{''.join(objects)}</annotation>"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two images of 40x30 in the list ``train``: ``a`` with a dog and a cat, ``b.1`` with a dog."""
    root = tmp_path / "voc"
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets" / "Main" / "train.txt").write_text("b.1\na\n")
    annotate(root, "a", xml_object("dog", (1, 1, 40, 30)), xml_object("cat", (11, 6, 15, 9)))
    annotate(root, "b.1", xml_object("dog", (2.5, 3, 10, 20)))
    Image.new("RGB", (40, 30)).save(root / "JPEGImages" / "a.jpg")
    Image.new("RGB", (40, 30)).save(root / "JPEGImages" / "b.1.PNG")
    return root


def voc(root: Path, **options: Any) -> VocData:
    return VocData(source="voc", root=root, **options)


def annotate(root: Path, name: str, *objects: str, **size: Any) -> None:
    (root / "Annotations" / f"{name}.xml").write_text(xml(*objects, **size))


def converted(root: Path, **options: Any) -> dict[str, Any]:
    out = root / "out" / "train.json"
    convert_voc(voc(root, **options), "train", out)
    return json.loads(out.read_text())


def refusal(root: Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        converted(root, **options)
    assert not (root / "out" / "train.json").exists()
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_split_worked_out_by_hand(root: Path) -> None:
    # The list names b.1 first. Pixels 11 to 15 are five, and the first of them is number 10 from 0.
    assert converted(root) == {
        "images": [
            {"id": 1, "file_name": "b.1.PNG", "width": 40, "height": 30},
            {"id": 2, "file_name": "a.jpg", "width": 40, "height": 30},
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 2,
                "bbox": [1.5, 2, 8.5, 18],
                "area": 153,
                "iscrowd": 0,
            },
            {
                "id": 2,
                "image_id": 2,
                "category_id": 2,
                "bbox": [0, 0, 40, 30],
                "area": 1200,
                "iscrowd": 0,
            },
            {
                "id": 3,
                "image_id": 2,
                "category_id": 1,
                "bbox": [10, 5, 5, 4],
                "area": 20,
                "iscrowd": 0,
            },
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }


def test_the_result_passes_the_check(root: Path) -> None:
    out = root / "out.json"
    assert convert_voc(voc(root), "train", out) == ()
    summary = check_coco(out, root / "JPEGImages")
    assert summary.classes == ("cat", "dog")
    assert not summary.has_masks


def test_pixels_numbered_from_0(root: Path) -> None:
    boxes = [a["bbox"] for a in converted(root, first_pixel=0)["annotations"]]
    assert boxes == [[2.5, 3, 8.5, 18], [1, 1, 40, 30], [11, 6, 5, 4]]


def test_given_classes_keep_their_order(root: Path) -> None:
    coco = converted(root, classes=("dog", "cow", "cat"))
    assert [c["name"] for c in coco["categories"]] == ["dog", "cow", "cat"]
    assert [a["category_id"] for a in coco["annotations"]] == [1, 1, 3]


def test_a_class_given_twice_is_refused(root: Path) -> None:
    with pytest.raises(ValidationError, match="names 'dog' twice"):
        voc(root, classes=("dog", "cat", "dog"))


@pytest.mark.parametrize(
    ("mark", "keep", "crowd"),
    [
        ("<difficult>1</difficult>", False, 1),
        ("<difficult>1</difficult>", True, 0),
        ("<difficult>0</difficult>", False, 0),
        ("", False, 0),
    ],
)
def test_difficult_objects_become_crowds(root: Path, mark: str, keep: bool, crowd: int) -> None:
    annotate(root, "b.1", xml_object("dog", (1, 1, 9, 9), mark))
    coco = converted(root, keep_difficult=keep)
    assert [a["iscrowd"] for a in coco["annotations"]] == [crowd, 0, 0]


def test_parts_of_objects_are_no_objects(root: Path) -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    annotate(root, "b.1", xml_object("dog", (1, 1, 9, 9), part))
    coco = converted(root)
    assert len(coco["annotations"]) == 3
    assert coco["annotations"][0]["bbox"] == [0, 0, 9, 9]


def test_an_image_without_objects_stays(root: Path) -> None:
    annotate(root, "b.1")
    coco = converted(root)
    assert len(coco["images"]) == 2
    assert {a["image_id"] for a in coco["annotations"]} == {2}


@pytest.mark.parametrize("box", [(5, 5, 5, 5), (5, 5, 9, 5), (9, 5, 5, 9)])
def test_a_click_without_a_drag_is_left_to_the_check(root: Path, box: tuple[int, ...]) -> None:
    annotate(root, "b.1", xml_object("dog", box))
    out = root / "out.json"
    convert_voc(voc(root), "train", out)
    cleaned = root / "cleaned.json"
    summary = check_coco(out, root / "JPEGImages", DROP, cleaned=cleaned)
    assert summary.dropped == {TOO_SMALL: 1}


# Lists


def test_a_missing_list(root: Path) -> None:
    with pytest.raises(UserError, match=r"val\.txt: does not exist"):
        convert_voc(voc(root), "val", root / "out.json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("a\nb.1\na\n", "lists 'a' twice"),
        ("a\nc\n", "lists 'c', but"),
    ],
)
def test_a_wrong_list(root: Path, text: str, expected: str) -> None:
    (root / "ImageSets" / "Main" / "train.txt").write_text(text)
    line = refusal(root)
    assert "train.txt" in line
    assert expected in line


# Annotations and images: a change of the good folder, and what the line must say


def annotated(text: str) -> Callable[[Path], object]:
    return lambda root: (root / "Annotations" / "a.xml").write_text(text)


BOMB = '<!DOCTYPE a [<!ENTITY x "dog"><!ENTITY y "&x;&x;&x;&x;">]>' + xml(
    xml_object("&y;", (1, 1, 9, 9))
)
DOG = xml_object("dog", (1, 1, 9, 9))

WRONG: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "cut XML": (annotated(xml(DOG)[:-9]), ("a.xml", "is not XML")),
    "empty XML": (annotated(""), ("a.xml", "is not XML")),
    "entities": (annotated(BOMB), ("a.xml", "cannot be read", "EntitiesForbidden")),
    "unknown encoding": (
        annotated('<?xml version="1.0" encoding="klingon"?>' + xml(DOG)),
        ("a.xml", "klingon"),
    ),
    "other XML": (annotated("<html/>"), ("a.xml", "has no <annotation>")),
    "no name": (
        annotated(xml("<object><bndbox/></object>")),
        ("a.xml", "<object> has no <name>"),
    ),
    "no box": (
        annotated(xml(DOG, "<object><name>dog</name></object>")),
        ("a.xml: object 2", "has no <bndbox/xmin>"),
    ),
    "no number": (
        annotated(xml(xml_object("dog", (1, 1, "9px", 9)))),
        ("a.xml: object 1", "<bndbox/xmax> is '9px'"),
    ),
    "NaN": (
        annotated(xml(xml_object("dog", (1, 1, 9, "nan")))),
        ("a.xml: object 1", "<bndbox/ymax> is 'nan'"),
    ),
    "difficult no number": (
        annotated(xml(xml_object("dog", (1, 1, 9, 9), "<difficult>yes</difficult>"))),
        ("a.xml: object 1", "<difficult> is 'yes'"),
    ),
    "size no number": (annotated(xml(DOG, width="wide")), ("a.xml", "<size/width> is 'wide'")),
    "size infinite": (annotated(xml(DOG, height="inf")), ("a.xml", "<size/height> is 'inf'")),
    "other size": (
        annotated(xml(DOG, width=30, height=40)),
        ("a.xml", "a.jpg is 40x30, the annotations say 30x40"),
    ),
    "image missing": (
        lambda root: (root / "JPEGImages" / "a.jpg").unlink(),
        ("a.xml", "no image 'a'"),
    ),
    "image damaged": (
        lambda root: (root / "JPEGImages" / "a.jpg").write_bytes(b"no image"),
        ("a.xml", "a.jpg is not an image"),
    ),
    "images missing": (
        lambda root: (root / "JPEGImages").rename(root / "images"),
        ("JPEGImages", "is not a folder"),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_folder(root: Path, name: str) -> None:
    change, expected = WRONG[name]
    change(root)
    line = refusal(root)
    for part in expected:
        assert part in line


def test_a_class_that_is_not_among_those_given(root: Path) -> None:
    line = refusal(root, classes=("dog", "cow"))
    assert "a.xml: object 2" in line
    assert "'cat'" in line
    assert "dog, cow" in line


# BCCD: counts by class, and clicks without a drag, as its XML files have them.
BCCD = {
    "train": ({"RBC": 2381, "WBC": 214, "Platelets": 209}, 1),
    "val": ({"RBC": 967, "WBC": 87, "Platelets": 83}, 1),
    "test": ({"RBC": 805, "WBC": 71, "Platelets": 69}, 0),
}


@pytest.mark.parametrize("split", BCCD)
def test_real_voc(tmp_path: Path, split: str) -> None:
    root = SHARED_DATA / "bccd"
    if not root.is_dir():
        pytest.skip(f"NOT TESTED on real Pascal VOC annotations: there is no {root}")
    out = tmp_path / "out.json"
    counts, bad = BCCD[split]
    assert convert_voc(voc(root), split, out) == ()
    classes = [category["name"] for category in json.loads(out.read_text())["categories"]]
    assert classes == ["Platelets", "RBC", "WBC"]
    if bad:
        with pytest.raises(UserError, match=r"set data\.bad_boxes: drop"):
            check_coco(out, root / "JPEGImages")
    cleaned = tmp_path / "cleaned.json"
    summary = check_coco(out, root / "JPEGImages", DROP, cleaned=cleaned)
    assert summary.boxes_per_class == counts
    assert sum(summary.dropped.values()) == bad
    # Numbered from 1: the boxes reach the first and the last pixel, and never further.
    coco = json.loads(out.read_text())
    left = Counter(a["bbox"][0] for a in coco["annotations"])
    right = Counter(a["bbox"][0] + a["bbox"][2] for a in coco["annotations"])
    assert min(left) == 0
    assert max(right) == 640
