"""Which images stay together, and which splits are drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtpd.errors import UserError
from mtpd.intake.drawing import draw_split


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(40):
        (tmp_path / f"cam{i // 10}_{i:02d}.jpg").write_bytes(b"x" * (i + 1))
    return tmp_path


def names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir()))


def drawn(folder: Path, parts: dict[str, tuple[str, ...]], group: str | None = None):
    return draw_split(parts, {name: {"a"} for name in names(folder)}, folder, group, 0)


def test_a_pool_becomes_three_splits(folder: Path) -> None:
    found = drawn(folder, {"": names(folder)})
    assert {split: len(part) for split, part in found.parts.items()} == {
        "train": 28,
        "val": 6,
        "test": 6,
    }
    assert (found.new, found.remarks) == (("train", "val", "test"), ())


def test_what_the_data_has_stays(folder: Path) -> None:
    every = names(folder)
    found = drawn(folder, {"train": every[:30], "test": every[30:]})
    assert list(found.parts) == ["train", "val", "test"]
    assert found.parts["test"] == every[30:]
    assert sorted(found.parts["train"] + found.parts["val"]) == list(every[:30])
    assert len(found.parts["val"]) == 4
    whole = {"train": every[:30], "val": every[30:]}
    assert (drawn(folder, whole).parts, drawn(folder, whole).new) == (whole, ())


def test_groups_stay_together(folder: Path) -> None:
    found = drawn(folder, {"": names(folder)}, r"^(cam\d)_")
    cameras = [{name[:4] for name in part} for part in found.parts.values()]
    assert sum(map(len, cameras)) == 4
    assert found.remarks == ("--group: 4 groups",)


@pytest.mark.parametrize(
    ("group", "words"), [("cam(", "no regular expression"), ("video", "finds nothing in the names")]
)
def test_a_wrong_group_is_one_line(folder: Path, group: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        drawn(folder, {"": names(folder)}, group)


def test_copies_are_on_one_side(folder: Path) -> None:
    for i in range(12):
        (folder / f"copy{i}.jpg").write_bytes(b"same picture")
    (folder / "other.jpg").write_bytes(b"other pixels")
    found = drawn(folder, {"": names(folder)})
    sides = [split for split, part in found.parts.items() for name in part if "copy" in name]
    assert len(set(sides)) == 1
    assert found.remarks == ("12 images are copies of 1 pictures: each stays together",)


def test_roboflows_versions_are_on_one_side(folder: Path) -> None:
    for i in range(5):
        (folder / f"a_jpg.rf.{i:032x}.jpg").write_bytes(b"version" * (i + 50))
    found = drawn(folder, {"": names(folder)})
    sides = [split for split, part in found.parts.items() for name in part if ".rf." in name]
    assert len(set(sides)) == 1
    assert "5 images are versions of 1 pictures" in found.remarks[0]
