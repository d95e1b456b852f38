"""The same picture in two splits is named, whatever it is called there."""

from __future__ import annotations

import shutil
from pathlib import Path

from data.yolo_folder import add_image, write_yolo

from mtpd.data.check import Target, check_data
from mtpd.data.leaks import shared_pictures
from mtpd.settings.data import YoloData


def test_copies_and_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        add_image(tmp_path / f"{name}.png")
    a, b, c, d = (tmp_path / f"{name}.png" for name in "abcd")
    copy = tmp_path / "val" / "other.png"
    copy.parent.mkdir()
    shutil.copy(b, copy)
    assert b.stat().st_size == c.stat().st_size  # so that bytes decide, not sizes
    gone = tmp_path / "gone.png"
    splits = {"train": [a, b, gone], "val": [c, copy, gone], "test": [d, a]}
    lines = [str(remark) for remark in shared_pictures("data", splits)]
    assert lines == [
        f"data: 1 pictures of val are in train too (first {copy}, which is {b}); figures of val "
        "tell little then; take them out of one of the two",
        f"data: 1 pictures of test are in train too (first {a}, which is {a}); figures of test "
        "tell little then; take them out of one of the two",
    ]


def test_nothing_to_say(tmp_path: Path) -> None:
    for name in ("a", "b"):
        add_image(tmp_path / f"{name}.png")
    splits = {"train": [tmp_path / "a.png", tmp_path / "a.png"], "val": [tmp_path / "b.png"]}
    assert shared_pictures("data", splits) == []


def test_a_remark_or_a_problem(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "yolo")
    shutil.copy(root / "images/train/a.png", root / "images/val/c.png")
    target = Target("mine", YoloData(source="yolo", root=root), whole=False)
    lenient, strict = check_data(target), check_data(target, strict=True)
    assert lenient.problems == []
    assert sum("pictures of val" in str(remark) for remark in lenient.remarks) == 1
    assert ["pictures of val" in str(problem) for problem in strict.problems] == [True]
    assert not any("pictures of val" in str(remark) for remark in strict.remarks)
