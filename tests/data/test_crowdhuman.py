"""CrowdHuman to COCO: boxes worked out by hand, ignore regions, and every refusal."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mtpd.data.coco import OUTSIDE, TOO_SMALL, CocoSummary, Rules, check_coco
from mtpd.data.crowdhuman import convert_crowdhuman
from mtpd.errors import UserError

ANNOTATIONS = "annotation_train.odgt"


def box(full: Any, tag: str = "person", **more: Any) -> dict[str, Any]:
    return {"tag": tag, "fbox": full, "vbox": [1, 1, 2, 2], "hbox": [1, 1, 1, 1], **more}


def record(name: str, *boxes: dict[str, Any]) -> dict[str, Any]:
    return {"ID": name, "gtboxes": list(boxes)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two images, 40x30 and 20x10, named as CrowdHuman does."""
    root = tmp_path / "crowdhuman"
    (root / "Images").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(root / "Images" / "273271,1a.b.jpg")
    Image.new("RGB", (20, 10)).save(root / "Images" / "273271,2c.jpg")
    annotate(
        root,
        record(
            "273271,2c",
            box([2, 1, 5, 4], extra={"box_id": 0, "occ": 1}),
            box([8, 1, 5, 4], extra={"ignore": 1}),
            box([0, 0, 3, 3], tag="mask", extra={"ignore": 1}),
        ),
        record(
            "273271,1a.b",
            # Beyond the image on three sides, with a head that cannot be seen.
            box([-10, 5, 60, 40.5], extra={"ignore": 0}, head_attr={"ignore": 1}),
            box([5, 5, 4, 4], tag="mask"),
        ),
    )
    return root


def annotate(root: Path, *records: Any) -> None:
    (root / ANNOTATIONS).write_text("".join(json.dumps(r) + "\n" for r in records))


def change(root: Path, edit: Callable[[list[Any]], Any]) -> None:
    records = [json.loads(line) for line in (root / ANNOTATIONS).read_text().splitlines()]
    edit(records)
    annotate(root, *records)


def test_a_split_worked_out_by_hand(root: Path) -> None:
    out = root / "out" / "train.json"
    convert_crowdhuman(root / ANNOTATIONS, root, [Path("Images")], out)
    boxes = [
        {"image_id": 1, "bbox": [2, 1, 5, 4], "area": 20, "iscrowd": 0},
        {"image_id": 1, "bbox": [8, 1, 5, 4], "area": 20, "iscrowd": 1},
        {"image_id": 1, "bbox": [0, 0, 3, 3], "area": 9, "iscrowd": 1},
        {"image_id": 2, "bbox": [-10, 5, 60, 40.5], "area": 2430, "iscrowd": 0},
        {"image_id": 2, "bbox": [5, 5, 4, 4], "area": 16, "iscrowd": 1},
    ]
    assert json.loads(out.read_text()) == {
        "images": [
            {"id": 1, "file_name": "Images/273271,2c.jpg", "width": 20, "height": 10},
            {"id": 2, "file_name": "Images/273271,1a.b.jpg", "width": 40, "height": 30},
        ],
        "annotations": [{"id": i, "category_id": 1} | b for i, b in enumerate(boxes, start=1)],
        "categories": [{"id": 1, "name": "person"}],
    }


def test_images_in_several_folders(root: Path) -> None:
    """As they come out of the archives; of two copies the one in the first folder is taken."""
    (root / "val").mkdir()
    (root / "Images" / "273271,2c.jpg").rename(root / "val" / "273271,2c.jpg")
    Image.new("RGB", (7, 7)).save(root / "val" / "273271,1a.b.jpg")
    out = root / "train.json"
    convert_crowdhuman(root / ANNOTATIONS, root, [Path("Images"), Path("val")], out)
    files = [image["file_name"] for image in json.loads(out.read_text())["images"]]
    assert files == ["val/273271,2c.jpg", "Images/273271,1a.b.jpg"]


def checked(root: Path, **options: Any) -> CocoSummary:
    """The split converted, and checked as the data step does."""
    out = root / "train.json"
    convert_crowdhuman(root / ANNOTATIONS, root, [Path("Images")], out)
    rules = Rules(border=math.inf, **options)
    return check_coco(out, root, rules, cleaned=root / "cleaned.json")


def test_what_was_found_is_counted(root: Path) -> None:
    summary = checked(root)
    assert (summary.n_images, summary.n_boxes, summary.n_crowds) == (2, 5, 3)
    assert summary.classes == ("person",)
    assert summary.dropped == {}
    assert summary.annotations == root / "train.json"


def spoil(records: list[Any]) -> None:
    records[0]["gtboxes"] += [box([3, 3, 0, 5]), box([3, 3, -4, -4]), box([20, 1, 5, 5])]
    # Ignore regions may have any numbers.
    records[0]["gtboxes"].append(box([50, 50, -1, 0], tag="mask"))


def test_boxes_that_cannot_be_used_are_left_out_and_counted(root: Path) -> None:
    change(root, spoil)
    summary = checked(root, bad_boxes="drop")
    assert summary.dropped == {TOO_SMALL: 2, OUTSIDE: 1}
    assert (summary.n_boxes, summary.n_crowds) == (6, 4)
    assert summary.annotations == root / "cleaned.json"


def test_boxes_that_cannot_be_used_may_be_an_error(root: Path) -> None:
    change(root, spoil)
    with pytest.raises(UserError, match=r"273271,2c.*3 of 9 boxes cannot be used"):
        checked(root)


def first_box(**changes: Any) -> Callable[[Path], None]:
    def wrong(root: Path) -> None:
        change(root, lambda records: records[0]["gtboxes"][0].update(changes))

    return wrong


def first_record(**changes: Any) -> Callable[[Path], None]:
    def wrong(root: Path) -> None:
        change(root, lambda records: records[0].update(changes))

    return wrong


def write(text: str) -> Callable[[Path], Any]:
    return lambda root: (root / ANNOTATIONS).write_text(text)


def cut(root: Path) -> None:
    (root / ANNOTATIONS).write_text((root / ANNOTATIONS).read_text()[:-20])


def empty_image(root: Path) -> None:
    (root / "Images" / "273271,2c.jpg").write_bytes(b"")


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no file": (lambda root: (root / ANNOTATIONS).unlink(), "cannot be read"),
    "empty": (write("\n\n"), "is empty"),
    "not text": (lambda root: (root / ANNOTATIONS).write_bytes(b"\xff\xfe\x00"), "not UTF-8"),
    "cut short": (cut, "line 2: is not JSON"),
    "a list": (write("[]\n"), "line 1: is not a JSON object"),
    "no ID": (write('{"gtboxes": []}\n'), "line 1: 'ID' is missing"),
    "ID is a number": (first_record(ID=7), "line 1: 'ID' is 7"),
    "no boxes' list": (first_record(gtboxes={}), "line 1: 'gtboxes' is {}"),
    "twice": (first_record(ID="273271,1a.b"), "line 2: 'ID' is '273271,1a.b' as in a"),
    "unknown tag": (first_box(tag="Person"), "line 1: gtboxes[0]: has the tag 'Person'"),
    "no full box": (first_box(fbox=None), "line 1: gtboxes[0]: 'fbox' is None"),
    "three numbers": (first_box(fbox=[1, 2, 3]), "gtboxes[0]: 'fbox' is [1, 2, 3]"),
    "text": (first_box(fbox=[1, 2, 3, "4"]), "gtboxes[0]: 'fbox' is [1, 2, 3, '4']"),
    "infinite": (first_box(fbox=[1, 2, 3, float("inf")]), "'fbox' is [1, 2, 3, inf]"),
    "extra": (first_box(extra=1), "gtboxes[0]: 'extra' is 1"),
    "ignore": (first_box(extra={"ignore": "yes"}), "gtboxes[0]: extra: 'ignore' is 'yes'"),
    "no image": (first_record(ID="none"), "names none.jpg, which is in none of data.images;"),
    "no folder": (
        lambda root: (root / "Images").rename(root / "images"),
        "Images: is not a folder",
    ),
    "empty image": (empty_image, "2c.jpg: is not an image, and is named by"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_folder_is_one_line_and_leaves_nothing_behind(root: Path, name: str) -> None:
    spoil_folder, expected = WRONG[name]
    spoil_folder(root)
    with pytest.raises(UserError) as caught:
        checked(root)
    line = str(caught.value)
    assert expected in line
    assert "\n" not in line
    assert not (root / "train.json").exists()


def test_every_problem_is_listed(root: Path) -> None:
    for spoil_folder in (first_record(ID=7), lambda root: change(root, lambda r: r.append([]))):
        spoil_folder(root)
    with pytest.raises(UserError, match=r"'ID' is 7 \(and 1 more\)") as caught:
        checked(root)
    assert [part.where for part in caught.value.parts] == [
        f"{root / ANNOTATIONS}: line {number}" for number in (1, 3)
    ]
    annotate(root, *(record(name) for name in ("gone", "273271,2c", "lost")))
    with pytest.raises(UserError) as caught:
        checked(root)
    assert [str(part).split()[2] for part in caught.value.parts] == ["gone.jpg,", "lost.jpg,"]


def test_a_damaged_image_is_found(root: Path) -> None:
    path = root / "Images" / "273271,2c.jpg"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"2c\.jpg:? (cannot be read|is cut short)"):
        checked(root)
