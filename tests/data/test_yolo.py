"""YOLO to COCO: boxes and masks worked out by hand, every way to name images, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data.yolo_folder import BOX, DATA, add_image, write_yolo

from mtpd.data.coco import check_coco
from mtpd.data.sources import class_names, source_content, splits_of
from mtpd.data.yolo import convert_yolo
from mtpd.digests import Digests
from mtpd.errors import UserError
from mtpd.settings.data import YoloData


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_yolo(tmp_path / "yolo")


def yolo(root: Path, **options: Any) -> YoloData:
    return YoloData(source="yolo", root=root, **options)


def converted(root: Path, split: str = "train", **options: Any) -> dict[str, Any]:
    out = root.parent / "out.json"
    convert_yolo(yolo(root, **options), split, out)
    return json.loads(out.read_text())


def names_of(root: Path, split: str = "train", **options: Any) -> list[str]:
    return [image["file_name"] for image in converted(root, split, **options)["images"]]


def remarks_of(root: Path, **options: Any) -> list[str]:
    found = convert_yolo(yolo(root, **options), "train", root.parent / "out.json")
    return [str(remark) for remark in found]


def refusal(root: Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        converted(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def label(root: Path, text: str) -> None:
    (root / "labels/train/a.txt").write_text(text)


def test_a_split_worked_out_by_hand(root: Path) -> None:
    label(root, "1 0.5 0.5 0.5 0.5\n\n0 0 0 0.5 0 0.5 0.5\n")
    coco = converted(root)
    assert coco["images"] == [
        {"id": 1, "file_name": "images/train/a.png", "width": 40, "height": 20},
        {"id": 2, "file_name": "images/train/b.png", "width": 40, "height": 20},
    ]
    assert coco["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    box, mask, other = coco["annotations"]
    assert box == {
        "id": 1, "image_id": 1, "category_id": 2, "bbox": [10, 5, 20, 10], "area": 200,
        "iscrowd": 0,
    }  # fmt: skip
    # A triangle: half of 20 times 10.
    assert mask == {
        "id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 10], "area": 100,
        "segmentation": [[0, 0, 20, 0, 20, 10]], "iscrowd": 0,
    }  # fmt: skip
    assert (other["id"], other["image_id"]) == (3, 2)
    assert check_coco(root.parent / "out.json", root).n_boxes == 3


TRAIN = ["images/train/a.png", "images/train/b.png"]
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "a folder": ("images/train", {}),
    "a folder with a slash": ("images/train/", {}),
    "Roboflow's ../": ("../images/train", {}),
    "Windows": ("images\\train", {}),
    "a glob": ("images/train/*.png", {}),
    "a deep glob": ("images/**/[ab].png", {}),
    "a list": ("train.txt", {"train.txt": "images/train/a.png\n./images/train/b.png\n"}),
    "a list of Windows": ("train.txt", {"train.txt": "images\\train\\a.png\r\nimages/train/b.png"}),
    "a list beside the images": ("images/train/l.txt", {"images/train/l.txt": "a.png\nb.png\n"}),
    "several": ("[images/train/a.png, rest.txt]", {"rest.txt": "\ufeffimages/train/b.png"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_name_images(root: Path, way: str) -> None:
    entry, files = WAYS[way]
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    written = entry if entry.startswith("[") else f"'{entry}'"
    (root / "data.yaml").write_text(DATA.replace("images/train", written, 1))
    assert names_of(root) == TRAIN
    if not entry.startswith(("[", "../")):
        assert names_of(root, train=entry.replace("\\", "/")) == TRAIN


def test_path_is_what_entries_are_relative_to(root: Path) -> None:
    (root / "data.yaml").write_text("path: images\ntrain: train\nval: val\nnames: [cat, dog]\n")
    assert names_of(root) == TRAIN
    (root / "data.yaml").write_text("path: /content/nowhere\n" + DATA)
    assert names_of(root) == TRAIN
    assert "there is no folder '/content/nowhere'; the folder of the file" in remarks_of(root)[0]


def test_labels_beside_the_images(root: Path) -> None:
    for image in sorted((root / "images/train").iterdir()):
        (root / "labels/train" / f"{image.stem}.txt").rename(image.with_suffix(".txt"))
    assert len(converted(root)["annotations"]) == 2
    (root / "labels/train/a.txt").write_text(BOX)
    assert len(converted(root)["annotations"]) == 2
    (root / "labels/train/a.txt").write_text(BOX * 2 + "1 0.5 0.5 0.1 0.1")
    assert "differ" in refusal(root)


def test_names_are_a_list_or_a_mapping(root: Path) -> None:
    (root / "data.yaml").write_text(
        "train: images/train\nval: images/val\nnames:\n  1: dog\n  0: cat\n"
    )
    assert [c["name"] for c in converted(root)["categories"]] == ["cat", "dog"]
    (root / "classes.txt").write_text("cat\ndog\n")
    own = yolo(root, file="classes.txt", train="images/train", val="images/val")
    assert class_names(own) == ("cat", "dog")
    convert_yolo(own, "val", root.parent / "out.json")


def test_images_without_labels_are_counted(root: Path) -> None:
    add_image(root / "images/train/z.png")
    (root / "images/train/._a.png").write_bytes(b"what macOS leaves")
    assert names_of(root) == [*TRAIN, "images/train/z.png"]
    assert "1 of 3 images have no label file (first images/train/z.png)" in remarks_of(root)[0]


def test_a_line_that_stands_twice_counts_once(root: Path) -> None:
    label(root, BOX * 2)
    assert len(converted(root)["annotations"]) == 2
    assert "1 lines of labels stand twice" in remarks_of(root)[0]


def test_a_test_split_may_be_absent(root: Path) -> None:
    assert splits_of(yolo(root)) == ("train", "val")
    assert splits_of(yolo(root, test="images/val")) == ("train", "val", "test")
    (root / "data.yaml").write_text(f"{DATA}test: images/val\n")
    assert splits_of(yolo(root)) == ("train", "val", "test")
    assert splits_of(yolo(root, test=None)) == ("train", "val")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no data.yaml": (lambda r: (r / "data.yaml").rename(r / "other.yaml"), "data.yaml: does not"),
    "another case": (
        lambda r: (r / "data.yaml").rename(r / "Data.yaml"),
        "there is 'Data.yaml', which has U+0044 (LATIN CAPITAL LETTER D) as character 1",
    ),
    "other nc": (
        lambda r: (r / "data.yaml").write_text(DATA.replace("nc: 2", "nc: 3")),
        "nc: is 3, and names has 2 classes",
    ),
    "no names": (
        lambda r: (r / "data.yaml").write_text("train: images/train\nval: images/val\n"),
        "names: key is missing",
    ),
    "numbers with a gap": (
        lambda r: (r / "data.yaml").write_text("train: a\nval: b\nnames: {0: cat, 2: dog}\n"),
        "number the classes from 0 to 1",
    ),
    "a name that YAML reads": (
        lambda r: (r / "data.yaml").write_text(DATA.replace("dog", "no")),
        "put it in quotes",
    ),
    "a name twice": (
        lambda r: (r / "data.yaml").write_text(DATA.replace("dog", "cat")),
        "names: has 'cat' twice",
    ),
    "no folder": (
        lambda r: (r / "images/train").rename(r / "images/other"),
        "train: names 'images/train', but",
    ),
    "no such key": (
        lambda r: (r / "data.yaml").write_text("names: [cat, dog]\n"),
        "'train' is neither a key of",
    ),
    "an empty folder": (
        lambda r: [f.unlink() for f in (r / "images/train").iterdir()],
        "has no images",
    ),
    "no labels": (lambda r: (r / "labels").rename(r / "other"), "none of 2 images has a label"),
    "a class too many": (lambda r: label(r, "2 0.5 0.5 0.1 0.1"), "line 1: has the class '2'"),
    "no class": (lambda r: label(r, "cat 0.5 0.5 0.1 0.1"), "line 1: has 'cat', which is no"),
    "pixels": (lambda r: label(r, f"{BOX}0 10 5 20 10"), "line 2: has 10, which is no fraction"),
    "six numbers": (lambda r: label(r, "0 0.5 0.5 0.1 0.1 0.9"), "line 1: has 6 numbers"),
    "two corners": (lambda r: label(r, "0 0.5 0.5 0.1"), "line 1: has 4 numbers"),
    "not finite": (lambda r: label(r, "0 nan 0.5 0.1 0.1"), "has 'nan', which is no number"),
    "UTF-16": (
        lambda r: (r / "labels/train/a.txt").write_text(BOX, encoding="utf-16"),
        "a.txt: is UTF-16 text; save it as UTF-8",
    ),
    "no image": (
        lambda r: (r / "images/train/a.png").write_bytes(b"no image"),
        "a.png: is not an image",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_folder_is_one_line(root: Path, name: str) -> None:
    change, expected = WRONG[name]
    change(root)
    assert expected in refusal(root)


def test_all_that_is_wrong_with_labels_is_listed(root: Path) -> None:
    label(root, "5 0.5 0.5 0.1 0.1\n0 7 0.5 0.1 0.1\n")
    (root / "labels/train/b.txt").write_text("x")
    with pytest.raises(UserError, match=r"\(and 2 more\)") as caught:
        converted(root)
    assert len(caught.value.parts) == 3


def test_content_follows_labels_and_names_and_no_place(root: Path, tmp_path: Path) -> None:
    def content() -> Any:
        return source_content(yolo(root), "train", Digests())

    before = content()
    assert source_content(yolo(write_yolo(tmp_path / "copy")), "train", Digests()) == before
    assert source_content(yolo(root, train="images/train"), "train", Digests()) == before
    (root / "labels/val/c.txt").write_text("")
    assert content() == before
    label(root, "0 0.5 0.5 0.5 0.6\n")
    changed = content()
    assert changed != before
    (root / "data.yaml").write_text(DATA.replace("dog", "cow"))
    assert content() != changed
