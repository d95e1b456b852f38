"""The check of COCO instances files: what passes, what is left out, and every refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from micro import SHARED_DATA
from PIL import Image

from mtpd.data.coco import (
    NOT_NUMBERS,
    OUTSIDE,
    TOO_SMALL,
    Rules,
    check_coco,
    write_coco,
)
from mtpd.errors import UserError

DROP = Rules(bad_boxes="drop")
Coco = dict[str, Any]
Change = Callable[[Coco], object]


def annotation(number: int, box: list[Any], **other: Any) -> dict[str, Any]:
    plain = {"id": number, "image_id": 1, "category_id": 1, "bbox": box, "area": 100, "iscrowd": 0}
    return plain | other


@pytest.fixture
def coco() -> Coco:
    """Two images of 40x30 and three annotations. Category ids have a gap, as COCO's own have."""
    return {
        "images": [
            {"id": 1, "file_name": "one.jpg", "width": 40, "height": 30},
            {"id": 7, "file_name": "two.png", "width": 40, "height": 30},
        ],
        "annotations": [
            annotation(11, [0, 0, 10, 10]),
            annotation(12, [5.5, 5.5, 20, 20], category_id=90),
            annotation(13, [30, 20, 10, 10], image_id=7, category_id=90),
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 90, "name": "ant"}],
    }


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    picture = Image.effect_noise((40, 30), 60).convert("RGB")
    picture.save(folder / "one.jpg")
    picture.save(folder / "two.png")
    return folder


def written(tmp_path: Path, coco: Coco) -> Path:
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(coco))
    return path


def refusal(path: Path, images: Path, *rules: Rules, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        check_coco(path, images, *rules, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_good_file_is_used_as_it_is(tmp_path: Path, coco: Coco, images: Path) -> None:
    path = written(tmp_path, coco)
    before = path.read_bytes()
    summary = check_coco(path, images, DROP, cleaned=tmp_path / "cleaned.json")
    assert summary.annotations == path
    assert path.read_bytes() == before
    assert not (tmp_path / "cleaned.json").exists()
    assert summary.classes == ("cat", "ant")
    assert (summary.n_images, summary.n_boxes, summary.n_crowds) == (2, 3, 0)
    assert summary.boxes_per_class == {"cat": 1, "ant": 2}
    assert summary.dropped == {}
    assert not summary.has_masks


def test_images_without_annotations_are_legal(tmp_path: Path, coco: Coco, images: Path) -> None:
    del coco["annotations"][2]
    assert check_coco(written(tmp_path, coco), images).n_images == 2


def test_the_digest_is_of_the_file(tmp_path: Path, coco: Coco, images: Path) -> None:
    first = check_coco(written(tmp_path, coco), images).sha256
    coco["annotations"][0]["bbox"] = [1, 1, 10, 10]
    assert check_coco(written(tmp_path, coco), images).sha256 != first


@pytest.mark.parametrize(
    ("segmentation", "expected"),
    [
        ([[0, 0, 9, 0, 9, 9]], True),
        ({"size": [30, 40], "counts": "abc"}, True),
        ([], False),
        ([[0, 0, 9, 9]], False),
        (None, False),
    ],
)
def test_masks_are_found(
    tmp_path: Path, coco: Coco, images: Path, segmentation: object, expected: bool
) -> None:
    good = [[0, 0, 9, 0, 9, 9]]
    for item, value in zip(coco["annotations"], [good, good, segmentation], strict=True):
        item["segmentation"] = value
    assert check_coco(written(tmp_path, coco), images).has_masks is expected


# Files


def test_a_missing_file(tmp_path: Path, images: Path) -> None:
    line = refusal(tmp_path / "none.json", images)
    assert "none.json" in line
    assert "cannot be read" in line


def test_broken_json(tmp_path: Path, images: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{"images": [')
    assert "is not JSON" in refusal(path, images)


def test_a_json_list(tmp_path: Path, images: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text("[]")
    assert "is not a JSON object" in refusal(path, images)


def test_a_missing_image_folder(tmp_path: Path, coco: Coco) -> None:
    line = refusal(written(tmp_path, coco), tmp_path / "nowhere")
    assert "nowhere" in line
    assert "is not a folder" in line


# Structure: a change of the good file, and what the line must say


def removes(key: str, position: int, inner: str) -> Change:
    return lambda coco: coco[key][position].pop(inner)


def sets(key: str, position: int, inner: str, value: object) -> Change:
    return lambda coco: coco[key][position].update({inner: value})


STRUCTURE: dict[str, tuple[Change, tuple[str, ...]]] = {
    "no images": (lambda c: c.pop("images"), ("images", "is missing")),
    "no annotations": (lambda c: c.pop("annotations"), ("annotations", "is missing")),
    "no categories": (lambda c: c.pop("categories"), ("categories", "is missing")),
    "images no list": (lambda c: c.update(images={}), ("images", "is not a list")),
    "empty images": (lambda c: c["images"].clear(), ("images", "is empty")),
    "empty annotations": (lambda c: c["annotations"].clear(), ("annotations", "is empty")),
    "empty categories": (lambda c: c["categories"].clear(), ("categories", "is empty")),
    "item no object": (
        lambda c: c["annotations"].insert(1, 5),
        ("annotations[1]", "is not an object"),
    ),
    "image without name": (
        removes("images", 1, "file_name"),
        ("images[1] (id 7)", "'file_name' is missing"),
    ),
    "image without width": (removes("images", 0, "width"), ("images[0]", "'width' is missing")),
    "image of no width": (sets("images", 1, "width", 0), ("image 7", "0x30")),
    "image id text": (sets("images", 0, "id", "1"), ("images[0]", "'id' is '1'", "integer")),
    "image id boolean": (sets("images", 0, "id", True), ("images[0]", "'id' is True", "integer")),
    "box missing": (removes("annotations", 2, "bbox"), ("annotations[2] (id 13)", "'bbox'")),
    "box text": (sets("annotations", 2, "bbox", "1 2 3 4"), ("(id 13)", "'bbox'", "list")),
    "area text": (sets("annotations", 1, "area", "9"), ("(id 12)", "'area' is '9'")),
    "iscrowd text": (sets("annotations", 1, "iscrowd", "0"), ("(id 12)", "'iscrowd' is '0'")),
    "category without name": (removes("categories", 1, "name"), ("categories[1] (id 90)", "name")),
    "two images of one id": (sets("images", 1, "id", 1), ("images", "id 1")),
    "two annotations of one id": (sets("annotations", 1, "id", 11), ("annotations", "id 11")),
    "two categories of one id": (sets("categories", 1, "id", 1), ("categories", "id 1")),
    "two categories of one name": (sets("categories", 1, "name", "cat"), ("categories", "'cat'")),
    "unknown image": (sets("annotations", 2, "image_id", 2), ("annotation 13", "image 2")),
    "unknown category": (
        sets("annotations", 2, "category_id", 2),
        ("annotation 13", "category_id 2"),
    ),
}


@pytest.mark.parametrize("name", STRUCTURE)
def test_wrong_structure(tmp_path: Path, coco: Coco, images: Path, name: str) -> None:
    change, expected = STRUCTURE[name]
    change(coco)
    line = refusal(written(tmp_path, coco), images, DROP, cleaned=tmp_path / "c.json")
    assert "instances.json" in line
    for part in expected:
        assert part in line


# Images


def test_a_missing_image(tmp_path: Path, coco: Coco, images: Path) -> None:
    (images / "two.png").unlink()
    line = refusal(written(tmp_path, coco), images)
    assert "image 7" in line
    assert "two.png does not exist" in line


def test_many_missing_images_are_counted(tmp_path: Path, coco: Coco, images: Path) -> None:
    (images / "one.jpg").unlink()
    (images / "two.png").unlink()
    line = refusal(written(tmp_path, coco), images)
    assert "one.jpg" in line
    assert "1 more" in line


@pytest.mark.parametrize("name", ["one.jpg", "two.png"])
@pytest.mark.parametrize("cut", [1, 2, 12, 300])
def test_a_truncated_image(tmp_path: Path, coco: Coco, images: Path, name: str, cut: int) -> None:
    whole = (images / name).read_bytes()
    (images / name).write_bytes(whole[:-cut])
    line = refusal(written(tmp_path, coco), images)
    assert name in line
    assert "replace it by a whole copy" in line


@pytest.mark.parametrize("name", ["one.jpg", "two.png"])
def test_bytes_after_the_end_marker_are_legal(
    tmp_path: Path, coco: Coco, images: Path, name: str
) -> None:
    with (images / name).open("ab") as file:
        file.write(b"\x00" * 20)
    assert check_coco(written(tmp_path, coco), images).n_images == 2


@pytest.mark.parametrize("contents", [b"", b"<html>not found</html>"])
def test_a_file_that_is_no_image(tmp_path: Path, coco: Coco, images: Path, contents: bytes) -> None:
    (images / "one.jpg").write_bytes(contents)
    assert "one.jpg is not an image" in refusal(written(tmp_path, coco), images)


def test_an_image_of_another_size(tmp_path: Path, coco: Coco, images: Path) -> None:
    Image.new("RGB", (80, 60)).save(images / "one.jpg")
    line = refusal(written(tmp_path, coco), images)
    assert "one.jpg is 80x60, the annotations say 40x30" in line


@pytest.mark.parametrize(("stored", "fits"), [((40, 30), False), ((30, 40), True)])
def test_an_image_counts_as_its_exif_turns_it(
    tmp_path: Path, coco: Coco, images: Path, stored: tuple[int, int], fits: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.new("RGB", stored).save(images / "one.jpg", exif=exif)
    # OpenCV reads images for MMDetection: it is its size that the check must take.
    assert cv2.imread(str(images / "one.jpg")).shape[:2] == stored
    path = written(tmp_path, coco)
    if fits:
        assert check_coco(path, images).n_images == 2
    else:
        assert "one.jpg is 30x40" in refusal(path, images)


# Boxes

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "three numbers": ({"bbox": [1, 2, 3]}, NOT_NUMBERS),
    "text": ({"bbox": [1, 2, 3, "4"]}, NOT_NUMBERS),
    "NaN": ({"bbox": [1, 2, 3, float("nan")]}, NOT_NUMBERS),
    "infinite": ({"bbox": [1, 2, float("inf"), 4]}, NOT_NUMBERS),
    "null": ({"bbox": [1, 2, None, 4]}, NOT_NUMBERS),
    "no width": ({"bbox": [1, 2, 0, 4]}, TOO_SMALL),
    "negative height": ({"bbox": [10, 10, 4, -4]}, TOO_SMALL),
    "half a pixel": ({"bbox": [1, 2, 0.5, 4]}, TOO_SMALL),
    "right of the image": ({"bbox": [35, 5, 7, 4]}, OUTSIDE),
    "below the image": ({"bbox": [5, 25, 7, 6.5]}, OUTSIDE),
    "left of the image": ({"bbox": [-1.5, 5, 7, 4]}, OUTSIDE),
    "above the image": ({"bbox": [5, -2, 7, 4]}, OUTSIDE),
    "elsewhere": ({"bbox": [500, 500, 7, 4]}, OUTSIDE),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_box_is_an_error(tmp_path: Path, coco: Coco, images: Path, name: str) -> None:
    change, reason = BAD[name]
    coco["annotations"][1].update(change)
    line = refusal(written(tmp_path, coco), images)
    for part in ("annotation 12 of image one.jpg", reason, "1 of 3", "data.bad_boxes: drop"):
        assert part in line


@pytest.mark.parametrize("name", BAD)
def test_a_bad_box_is_left_out(tmp_path: Path, coco: Coco, images: Path, name: str) -> None:
    change, reason = BAD[name]
    coco["annotations"][1].update(change)
    cleaned = tmp_path / "made" / "cleaned.json"
    path = written(tmp_path, coco)
    before = path.read_bytes()
    summary = check_coco(path, images, DROP, cleaned=cleaned)
    assert path.read_bytes() == before
    assert summary.annotations == cleaned
    assert summary.dropped == {reason: 1}
    assert summary.n_boxes == 2
    del coco["annotations"][1]
    assert json.loads(cleaned.read_text()) == coco
    again = check_coco(cleaned, images)
    assert (again.sha256, again.dropped) == (summary.sha256, {})


def test_bad_boxes_are_counted_by_reason(tmp_path: Path, coco: Coco, images: Path) -> None:
    coco["annotations"] += [
        annotation(20, [1, 1, 0, 5]),
        annotation(21, [1, 1, 5, 0]),
        annotation(22, [100, 1, 5, 5]),
    ]
    path = written(tmp_path, coco)
    line = refusal(path, images)
    assert "annotation 20" in line
    assert "3 of 6" in line
    summary = check_coco(path, images, DROP, cleaned=tmp_path / "cleaned.json")
    assert summary.dropped == {TOO_SMALL: 2, OUTSIDE: 1}


@pytest.mark.parametrize("box", [[-1, -1, 42, 32], [0, 0, 40, 30], [39, 29, 1, 1]])
def test_rounding_at_the_border_is_legal(
    tmp_path: Path, coco: Coco, images: Path, box: list[float]
) -> None:
    coco["annotations"][0]["bbox"] = box
    assert check_coco(written(tmp_path, coco), images).n_boxes == 3


def test_crowds_are_kept_as_they_are(tmp_path: Path, coco: Coco, images: Path) -> None:
    coco["annotations"].append(annotation(20, [0, 0, 0, 400], iscrowd=1))
    summary = check_coco(written(tmp_path, coco), images)
    assert (summary.n_boxes, summary.n_crowds, summary.dropped) == (4, 1, {})


def test_a_split_of_bad_boxes_alone(tmp_path: Path, coco: Coco, images: Path) -> None:
    for item in coco["annotations"]:
        item["bbox"] = [0, 0, 0, 0]
    cleaned = tmp_path / "cleaned.json"
    line = refusal(written(tmp_path, coco), images, DROP, cleaned=cleaned)
    assert "no annotation that can be used" in line
    assert not cleaned.exists()


def test_dropping_needs_a_place(tmp_path: Path, coco: Coco, images: Path) -> None:
    with pytest.raises(ValueError, match="place"):
        check_coco(written(tmp_path, coco), images, DROP)


# Classes


def test_classes_are_in_the_order_of_mmdetections_labels(
    tmp_path: Path, coco: Coco, images: Path
) -> None:
    """Its labels follow the order of the file, whatever the ids."""
    from pycocotools.coco import COCO

    coco["categories"].reverse()
    path = written(tmp_path, coco)
    summary = check_coco(path, images)
    loaded = COCO(str(path))
    ids = loaded.getCatIds(catNms=sorted(summary.classes, reverse=True))
    assert tuple(loaded.cats[i]["name"] for i in ids) == summary.classes == ("ant", "cat")


def test_text_is_written_as_utf8(tmp_path: Path) -> None:
    write_coco(tmp_path / "new" / "a.json", {"categories": [{"id": 1, "name": "Löwe"}]})
    text = (tmp_path / "new" / "a.json").read_text(encoding="utf-8")
    assert text == '{"categories":[{"id":1,"name":"Löwe"}]}'


@pytest.mark.parametrize(("split", "boxes"), [("train2017", 470), ("val2017", 382)])
def test_real_coco_passes(split: str, boxes: int) -> None:
    root = SHARED_DATA / "tiny_coco"
    if not root.is_dir():
        pytest.skip(f"NOT TESTED on real COCO annotations: there is no {root}")
    summary = check_coco(root / "annotations" / f"instances_{split}.json", root / split)
    assert (summary.n_images, summary.n_boxes, summary.n_crowds) == (50, boxes, 5)
    assert len(summary.classes) == 80
    assert summary.has_masks
