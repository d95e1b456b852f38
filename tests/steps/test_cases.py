"""Folders as people have them: the check and the data step say the same of each.

Each case is what a program has left behind, or a slip that is easily made. ``None`` as a line: the
data is used. What is said of it stands in a remark of the check, and in the data step's log.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from data.yolo_folder import BOX, add_image, write_yolo
from micro import MICRO, changed
from PIL import Image

from mtpd.data.check import Target, check_data
from mtpd.data.dataset import Dataset
from mtpd.errors import UserError
from mtpd.experiment.load import load_experiment
from mtpd.layout import Layout
from mtpd.steps.data import prepare_data

XML = (
    "<annotation><filename>{name}.png</filename>{size}<object><name>{label}</name>"
    "<difficult></difficult><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax>"
    "</bndbox></object></annotation>"
)
Keys = dict[str, Any]


def write_coco(root: Path, change: Callable[[Keys, str], object] = lambda _, __: None) -> Keys:
    """Two images in train, one in val; ``change`` gets each file's content and its split."""
    for split, names in (("train", "ab"), ("val", "c")):
        coco: Keys = {
            "images": [
                {"id": i, "file_name": f"{name}.png", "width": 40, "height": 20}
                for i, name in enumerate(names)
            ],
            "annotations": [
                {
                    "id": i, "image_id": i, "category_id": 1 + i, "bbox": [4, 4, 10, 10],
                    "area": 100, "iscrowd": 0,
                }
                for i in range(len(names))
            ],
            "categories": [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}],
        }  # fmt: skip
        for name in names:
            add_image(root / split / f"{name}.png")
        change(coco, split)
        (root / f"{split}.json").write_text(json.dumps(coco))
    splits = {s: {"annotations": f"{s}.json", "images": s} for s in ("train", "val")}
    return {"source": "coco", **splits}


def write_voc(root: Path, folders: tuple[str, str] = ("Annotations", "JPEGImages")) -> Keys:
    """As :func:`write_coco`, with lists of train and val and none of test."""
    for name, label in zip("abc", ("red", "blue", "red"), strict=True):
        add_image(root / folders[1] / f"{name}.png")
        path = root / folders[0] / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(XML.format(name=name, label=label, size=""))
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("c\n")
    return {"source": "voc"}


def coco(change: Callable[[Keys, str], object]) -> Callable[[Path], Keys]:
    return lambda root: write_coco(root, change)


def items(key: str, **values: Any) -> Callable[[Path], Keys]:
    def change(content: Keys, split: str) -> None:
        for item in content[key]:
            item.update(values)

    return coco(change)


def without(name: str) -> Callable[[Path], Keys]:
    return coco(lambda content, split: [item.pop(name) for item in content["annotations"]])


def background(root: Path) -> Keys:
    return write_coco(root, lambda c, split: split == "train" and c["annotations"].pop())


def all_background(root: Path) -> Keys:
    return write_coco(root, lambda c, split: split == "train" and c["annotations"].clear())


def reordered(root: Path) -> Keys:
    return write_coco(root, lambda c, split: split == "val" and c["categories"].reverse())


def roboflow(root: Path) -> Keys:
    def change(content: Keys, split: str) -> None:
        for category in content["categories"]:
            category["supercategory"] = "red"
        top = {"id": 0, "name": "red", "supercategory": "none"}
        content["categories"].insert(0, top)

    return write_coco(root, change)


def turned(root: Path) -> Keys:
    keys = write_coco(root)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(root / "train/a.png", exif=exif)
    return keys


def backslashes(root: Path) -> Keys:
    keys = write_coco(root, lambda c, split: rename(c, f"{split}\\"))
    for split in ("train", "val"):
        keys[split]["images"] = "."
    return keys


def rename(content: Keys, folder: str) -> None:
    for image in content["images"]:
        image["file_name"] = folder + image["file_name"]


def narrow_space(root: Path) -> Keys:
    keys = write_coco(root, lambda c, _: c["images"][0].update(file_name="a 1.png"))
    add_image(root / "train" / "a\u202f1.png")
    add_image(root / "val" / "a 1.png")
    return keys


def byte_order_marks(root: Path) -> Keys:
    keys = write_coco(root)
    for path in root.glob("*.json"):
        path.write_text(path.read_text(), encoding="utf-8-sig")
    return keys


def voc_list(text: str, encoding: str = "utf-8") -> Callable[[Path], Keys]:
    def write(root: Path) -> Keys:
        keys = write_voc(root)
        (root / "ImageSets/Main/train.txt").write_text(text, encoding=encoding)
        return keys

    return write


def other_folder(root: Path) -> Keys:
    """An id in a folder, and only an image of the same name outside it."""
    keys = write_voc(root)
    (root / "Annotations/night").mkdir()
    (root / "Annotations/a.xml").rename(root / "Annotations/night/a.xml")
    (root / "ImageSets/Main/train.txt").write_text("night/a\nb\n")
    return keys


def same_picture(root: Path) -> Keys:
    keys = write_coco(root)
    (root / "val/c.png").write_bytes((root / "train/a.png").read_bytes())
    return keys


def same_file(root: Path) -> Keys:
    keys = write_coco(root)
    return {**keys, "val": keys["train"]}


def large(root: Path) -> Keys:
    size = {"width": 18_000, "height": 10_000}
    keys = write_coco(root, lambda c, split: split == "train" and c["images"][0].update(size))
    Image.new("1", (18_000, 10_000)).save(root / "train/a.png", compress_level=1)
    return keys


def yolo(root: Path) -> Keys:
    write_yolo(root)
    return {"source": "yolo"}


def yolo_as_voc(root: Path) -> Keys:
    write_yolo(root)
    return {"source": "voc"}


def yolo_as_coco(root: Path) -> Keys:
    write_yolo(root)
    splits = {
        split: {"annotations": f"labels/{split}", "images": f"images/{split}"}
        for split in ("train", "val")
    }
    return {"source": "coco", **splits}


def split_lists(root: Path) -> str:
    for split, text in (("train", "a.png\nb.png\n"), ("val", "c.png\n")):
        (root / f"{split}.txt").write_text(text)
    return str(root)


def flat(root: Path) -> Keys:
    return {**write_voc(root, (".", ".")), "annotations": ".", "images": "."}


def flat_with_split(root: Path) -> Keys:
    return {**flat(root), "split": split_lists(root)}


def flat_unsaid(root: Path) -> Keys:
    write_voc(root, (".", "."))
    return {"source": "voc"}


def one_file(root: Path) -> Keys:
    """CVAT's single JSON, divided by lists."""
    write_coco(root)
    content = json.loads((root / "train.json").read_text())
    content["images"].append({"id": 9, "file_name": "c.png", "width": 40, "height": 20})
    content["annotations"].append({**content["annotations"][0], "id": 9, "image_id": 9})
    (root / "instances_default.json").write_text(json.dumps(content))
    add_image(root / "train/c.png")
    lists = split_lists(root)
    return {
        "source": "coco", "annotations": "instances_default.json", "images": "train",
        "split": lists,
    }  # fmt: skip


def one_mask_missing(root: Path) -> Keys:
    square = [[4, 4, 14, 4, 14, 14, 4, 14]]
    return write_coco(
        root, lambda c, _: [i.update(segmentation=square) for i in c["annotations"][:1]]
    )


def outside(root: Path) -> Keys:
    return write_coco(root, lambda c, _: c["annotations"][0].update(bbox=[100, 4, 10, 10]))


def left_out(root: Path) -> Keys:
    return {**outside(root), "bad_boxes": "drop"}


def yolo_without_labels(root: Path) -> Keys:
    write_yolo(root)
    add_image(root / "images/train/d.png")
    (root / "labels/train/b.txt").write_text(BOX * 2)
    return {"source": "yolo", "test": None}


CASES: dict[str, tuple[Callable[[Path], Keys], str | None, tuple[str, ...]]] = {
    "nothing wrong": (write_coco, None, ()),
    "01 background": (background, None, ("1 of 2 images have no boxes; trained on",)),
    "01 all of train is background": (all_background, "annotations: is empty", ()),
    "03 no size": (
        write_voc, None, ("2 of 2 files say no size", "1 of 1 files say no size", "no test split"),
    ),
    "04 Roboflow": (roboflow, None, ("'red' has no annotation",) * 2),
    "05 EXIF": (turned, "turned as its EXIF orientation 6 says", ()),
    "06 no area": (without("area"), None, ("have no 'area' above 0",) * 2),
    "06 no iscrowd": (without("iscrowd"), None, ("have no 'iscrowd'",) * 2),
    "07 ignore": (items("annotations", ignore=1), None, ("have 'ignore': 1",) * 2),
    "08 backslashes": (backslashes, None, ("Windows' separators",) * 2),
    "10 another space": (narrow_space, "has U+202F (NARROW NO-BREAK SPACE) as character 2", ()),
    "11 area 0": (items("annotations", area=0), None, ("have no 'area' above 0",) * 2),
    "12 other order": (reordered, None, ("another order than in train",)),
    "13 byte order marks": (byte_order_marks, None, ()),
    "13 UTF-16": (voc_list("a\nb\n", "utf-16"), "train.txt: is UTF-16 text; save it as", ()),
    "13 a list's byte order mark": (
        voc_list("a\nb\n", "utf-8-sig"), None,
        ("2 of 2 files say no size", "1 of 1 files say no size", "no test split"),
    ),
    "14 columns": (
        voc_list("a  1\nb -1\n"), None,
        (
            "has -1 beside 1 of 2 ids", "1 of 1 files say no size", "1 of 1 files say no size",
            "no test split",
        ),
    ),
    "14 another folder's image": (other_folder, "JPEGImages has no image 'night/a'", ()),
    "15 the same picture": (same_picture, None, ("1 pictures of val are in train too",)),
    "15 the same file": (same_file, None, ("2 pictures of val are in train too",)),
    "16 a large image": (large, None, ("1 of 2 images have more than 100 million pixels",)),
    "19 YOLO": (yolo, None, ("no test split",)),
    "19 YOLO as VOC": (yolo_as_voc, "set data.source to yolo", ()),
    "19 YOLO as COCO": (yolo_as_coco, "labels/train: is a folder", ()),
    "19 YOLO without labels": (
        yolo_without_labels, None,
        ("1 of 3 images have no label file", "1 lines of labels", "1 of 3 images have no boxes"),
    ),
    "20 flat, unsaid": (flat_unsaid, "set data.annotations to '.'", ()),
    "20 flat": (
        flat, None, ("2 of 2 files say no size", "1 of 1 files say no size", "no test split"),
    ),
    "20 flat with a split": (
        flat_with_split, None,
        ("2 of 2 files say no size", "1 of 1 files say no size", "has no test.txt"),
    ),
    "20 one file": (one_file, None, ()),
    "22 one mask missing": (
        one_mask_missing, None, ("annotation 1 of image b.png: has no mask, as 1 of 2",),
    ),
    "a box outside": (outside, "bbox [100, 4, 10, 10] is outside the image", ()),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_check_and_data_step_say_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    write, line, said = CASES[name]
    root = tmp_path / "data"
    root.mkdir()
    path = tmp_path / "case.yaml"
    path.write_text(yaml.safe_dump(changed(MICRO, ("data", {"root": str(root), **write(root)}))))
    experiment, layout = load_experiment(path), Layout(tmp_path / "results", "case")
    report = check_data(Target("case", experiment.data, whole=False))
    caplog.set_level(logging.WARNING)
    if line is not None:
        with pytest.raises(UserError) as caught:
            prepare_data(experiment, layout)
        assert line in str(caught.value)
        assert line in str(report.problems[0])
        return
    prepare_data(experiment, layout)
    assert report.problems == []
    dataset = Dataset.load(layout.dataset, experiment.data)
    assert [part.inspection.classes for part in report.splits] == [dataset.classes] * 2
    assert [part.inspection.empty for part in report.splits] == [
        split.n_empty for split in dataset.splits.values()
    ]
    remarks, logged = [str(remark) for remark in report.remarks], caplog.messages
    for lines in (remarks, logged):
        assert len(lines) == len(said), lines
        for words in set(said):
            assert sum(words in line for line in lines) == said.count(words), words


def test_a_box_that_is_left_out_is_so_in_both(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    path = tmp_path / "case.yaml"
    path.write_text(yaml.safe_dump(changed(MICRO, ("data", {"root": str(root), **left_out(root)}))))
    experiment, layout = load_experiment(path), Layout(tmp_path / "results", "case")
    prepare_data(experiment, layout)
    report = check_data(Target("case", experiment.data, whole=False))
    assert report.problems == []
    train, val = report.splits
    assert len(train.inspection.left_out) == 1
    assert len(val.inspection.odd) == 1
    assert "train: left out 1 boxes outside the image" in caplog.text
    assert "val: evaluation counts 1 boxes outside the image" in caplog.text
