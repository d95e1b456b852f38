"""The check of data sets lists everything that is wrong, and what is there besides."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from mtpd.data.check import DataReport, Target, check_data, published_target, targets_of
from mtpd.data.counts import Counts
from mtpd.data.published import COUNTS, PUBLISHED
from mtpd.data.shapes import generate_shapes
from mtpd.reporting.data_check import print_data_report, write_list
from mtpd.settings.data import VocData

IMAGES = 4


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data set laid out like COCO 2017."""
    for split in ("train", "val"):
        folder = tmp_path / f"{split}_generated"
        annotations = generate_shapes(folder, split=split, images=IMAGES, size=64, seed=0)
        (folder / "images").rename(tmp_path / f"{split}2017")
        (tmp_path / "annotations").mkdir(exist_ok=True)
        annotations.rename(tmp_path / "annotations" / f"instances_{split}2017.json")
    return tmp_path


@pytest.fixture
def check(root: Path) -> Callable[..., DataReport]:
    def run(bad_boxes: str = "error", **options: Any) -> DataReport:
        settings = PUBLISHED["COCO 2017"](root).model_copy(update={"bad_boxes": bad_boxes})
        return check_data(Target("mine", settings, whole=False), **options)

    return run


def edit(root: Path, change: Callable[[Any], object], split: str = "val") -> None:
    path = root / "annotations" / f"instances_{split}2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def text_of(report: DataReport, shown: int = 10) -> str:
    console = Console(file=io.StringIO(), width=120, highlight=False)
    print_data_report(report, shown, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_what_is_there(check: Callable[..., DataReport], root: Path) -> None:
    report = check()
    assert report.problems == []
    train, val = report.splits
    assert (train.name, val.name) == ("train", "val")
    counts = val.inspection.counts
    boxes = len(json.loads((root / val.annotations).read_text())["annotations"])
    assert counts == Counts(images=IMAGES, boxes=boxes, crowds=0, classes=6, sequences=None)
    assert "nothing is wrong" in text_of(report)


def test_all_that_is_wrong_with_images(check: Callable[..., DataReport], root: Path) -> None:
    (root / "val2017/000000.jpg").unlink()
    (root / "val2017/000001.jpg").unlink()
    whole = (root / "val2017/000002.jpg").read_bytes()
    (root / "val2017/000002.jpg").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (32, 64)).save(root / "train2017/000003.jpg")
    report = check()
    train, val = report.splits
    assert (train.inspection.missing, train.inspection.damaged) == (0, 1)
    assert (val.inspection.missing, val.inspection.damaged) == (2, 1)
    lines = [str(problem) for problem in report.problems]
    assert len(lines) == 4
    for line, words in zip(
        lines, ("is 32x64", "does not exist", "does not exist", "cannot be read"), strict=True
    ):
        assert words in line
    assert [f"00000{i}.jpg" in line for i, line in zip((3, 0, 1, 2), lines, strict=True)] == [
        True
    ] * 4


def test_only_decoding_finds_what_lies_inside(check: Callable[..., DataReport], root: Path) -> None:
    """A PNG with wrong bytes in its middle. (No decoder says so of a JPEG's.)"""
    path = root / "val2017/000000.jpg"
    Image.effect_noise((64, 64), 60).convert("RGB").save(path, "PNG")
    whole, middle = path.read_bytes(), path.stat().st_size // 2
    path.write_bytes(whole[:middle] + bytes(40) + whole[middle + 40 :])
    assert check().problems == []
    assert "cannot be read" in str(check(decode=True).problems[0])


def test_all_that_is_wrong_with_annotations(check: Callable[..., DataReport], root: Path) -> None:
    def change(coco: Any) -> None:
        coco["images"][0]["width"] = "64"
        coco["annotations"][-1]["iscrowd"] = "no"
        coco["annotations"][-2]["category_id"] = 99
        coco["annotations"][-3]["bbox"] = [100, 100, 5, 5]
        coco["categories"][0]["name"] = "other"

    edit(root, change)
    lines = [str(problem) for problem in check().problems]
    for words in (
        "'width' is '64'",
        "'iscrowd' is 'no'",
        "category_id 99",
        "is outside the image",
        "annotations are of 'other', which train does not have",
    ):
        assert sum(words in line for line in lines) == 1, words
    # The annotations of the image that cannot be used belong to no image.
    assert all("val2017.json" in line for line in lines)


def test_boxes_that_are_left_out_are_remarks(check: Callable[..., DataReport], root: Path) -> None:
    edit(root, lambda coco: coco["annotations"][0].update(bbox=[0, 0, 0, 5]), "train")
    assert "less than a pixel" in str(check().problems[0])
    report = check(bad_boxes="drop")
    assert report.problems == []
    assert ["less than a pixel" in str(remark) for remark in report.remarks].count(True) == 1
    assert "boxes that will be left out" in text_of(report)


def test_boxes_that_the_evaluation_counts_are_remarks(
    check: Callable[..., DataReport], root: Path
) -> None:
    edit(root, lambda coco: coco["annotations"][0].update(bbox=[0, 0, 0, 5]))
    report = check(bad_boxes="drop")
    assert report.problems == []
    remarks = [str(remark) for remark in report.remarks if "less than a pixel" in str(remark)]
    assert len(remarks) == 1
    assert remarks[0].endswith("; the evaluation counts it")
    assert "boxes that will be left out" not in text_of(report)


ANNOTATIONS = "annotations/instances_val2017.json"


@pytest.mark.parametrize(
    ("break_it", "words", "gone"),
    [
        (lambda root: (root / ANNOTATIONS).unlink(), "cannot be read", 1),
        (lambda root: (root / ANNOTATIONS).write_text("{"), "is not JSON", 0),
        (lambda root: (root / ANNOTATIONS).write_text("[]"), "is not a JSON object", 0),
        (lambda root: (root / "val2017").rename(root / "other"), "val2017: is not a folder", 1),
    ],
)
def test_what_is_not_there_at_all(
    check: Callable[..., DataReport],
    root: Path,
    break_it: Callable[[Path], object],
    words: str,
    gone: int,
) -> None:
    break_it(root)
    report = check()
    assert words in str(report.problems[0])
    assert len(report.problems) == 1
    assert report.splits[0].inspection.counts.images == IMAGES
    assert text_of(report).split().count("no") == gone


def test_no_data_set(tmp_path: Path) -> None:
    report = check_data(published_target("COCO 2017", tmp_path / "nowhere"))
    assert [str(problem).rpartition("/")[2] for problem in report.problems] == [
        "nowhere: is not a folder; put the data set there"
    ]
    assert "annotations/instances_train2017.json" in text_of(report)


def test_published_counts(root: Path) -> None:
    """A problem for the data set itself, a remark for an experiment, which may use a part."""
    report = check_data(published_target("COCO 2017", root))
    assert "has 4 images, the published data set has 118287" in str(report.problems[0])
    [target] = targets_of([("mine", PUBLISHED["COCO 2017"](root))])
    report = check_data(target)
    assert report.problems == []
    assert "has 4 images, the published data set has 118287" in str(report.remarks[0])


def test_every_published_split_has_counts(tmp_path: Path) -> None:
    for settings in PUBLISHED.values():
        for split in check_data(Target("", settings(tmp_path), whole=True)).splits:
            assert split.published == COUNTS[settings(tmp_path).source][split.annotations.name]
            assert split.published.images is not None


def test_data_that_experiments_share_is_checked_once(root: Path) -> None:
    coco = PUBLISHED["COCO 2017"]
    other = coco(root).model_copy(update={"bad_boxes": "error"})
    targets = targets_of([("a", coco(root)), ("b", other), ("c", coco(root))])
    assert [(target.name, target.data.bad_boxes) for target in targets] == [
        ("a, c", "drop"),
        ("b", "error"),
    ]


def test_a_source_that_is_converted_names_the_user_s_own_file(tmp_path: Path) -> None:
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("a\nb\n")
    for name in "ab":
        (tmp_path / f"Annotations/{name}.xml").write_text(
            "<annotation><size><width>40</width><height>30</height></size>"
            "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
            "<ymax>9</ymax></bndbox></object></annotation>"
        )
        (tmp_path / f"JPEGImages/{name}.jpg").write_bytes(b"")
    data = VocData(source="voc", root=tmp_path, val="train", test=None)
    report = check_data(Target("mine", data, whole=False))
    lines = [str(problem) for problem in report.splits[0].problems]
    assert len(lines) == 2
    for name, line in zip("ab", lines, strict=True):
        assert line.startswith(f"{tmp_path}/Annotations/{name}.xml: ")
        assert f"{name}.jpg is not an image" in line


def test_the_list_has_what_the_screen_leaves_out(
    check: Callable[..., DataReport], root: Path, tmp_path: Path
) -> None:
    for path in (root / "val2017").iterdir():
        path.unlink()
    report = check()
    text = text_of(report, shown=1)
    assert text.count("does not exist") == 1
    assert "and 3 more" in text
    write_list(tmp_path / "list.txt", [report])
    lines = (tmp_path / "list.txt").read_text().splitlines()
    assert (
        sum(line.startswith("problem: ") and "does not exist" in line for line in lines) == IMAGES
    )
    assert sum(line.startswith("remark: ") for line in lines) == len(report.remarks) > 0
