"""Folders of lists that divide a data set, for every source that takes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data.yolo_folder import BOX, add_image
from pydantic import TypeAdapter, ValidationError

from mtpd.data.sources import images_folder, source_content, splits_of
from mtpd.data.splits import Located, locate_split
from mtpd.digests import Digests
from mtpd.errors import UserError
from mtpd.settings.data import Data

NAMES = ["a.png", "b.png", "night/a.png", "c.png"]
LISTS = {"train": "a.png\nnight/a.png\n", "val": "c.png\n"}
SOURCES = ("coco", "voc", "yolo")


def write_pool(root: Path, source: str) -> dict[str, Any]:
    """Four images without splits in the format of ``source``; gives its settings."""
    for i, name in enumerate(NAMES):
        add_image(root / name, i)
    if source == "coco":
        write_instances(root / "all.json", NAMES)
        return {"annotations": "all.json", "images": "."}
    for name in NAMES:
        path = root / name
        if source == "voc":
            path.with_suffix(".xml").write_text(
                "<annotation><object><name>cat</name><bndbox><xmin>2</xmin><ymin>2</ymin>"
                "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
            )
        else:
            path.with_suffix(".txt").write_text(BOX)
    if source == "voc":
        return {"annotations": ".", "images": "."}
    (root / "data.yaml").write_text("names: [cat]\n")
    return {}


def write_instances(path: Path, names: list[str], category: str = "cat") -> None:
    images = [
        {"id": i, "file_name": name, "width": 40, "height": 20} for i, name in enumerate(names, 5)
    ]
    boxes = [
        {"id": i, "image_id": i, "category_id": 3, "bbox": [i, 1, 9, 9], "area": 81, "iscrowd": 0}
        for i in range(5, 5 + len(names))
    ]
    categories = [{"id": 3, "name": category}]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))


def write_lists(folder: Path, **lists: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in lists.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def settings(source: str, root: Path, **other: Any) -> Any:
    keys = {"source": source, "root": root, **other}
    return TypeAdapter(Data).validate_python(keys)


@pytest.fixture(params=SOURCES)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    own = write_pool(tmp_path / "pool", request.param)
    folder = write_lists(tmp_path / "lists", **LISTS)
    return settings(request.param, tmp_path / "pool", split=folder, **own)


def located(data: Any, split: str = "train") -> Located:
    return locate_split(data, split, data.root.parent / "made", None)


def names_in(found: Located) -> list[str]:
    images = json.loads(found.annotations.read_text())["images"]
    assert all((found.images / image["file_name"]).is_file() for image in images)
    return [image["file_name"] for image in images]


def refusal(data: Any, split: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        located(data, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_lists_take_the_place_of_splits(data: Any) -> None:
    assert splits_of(data) == ("train", "val")
    assert names_in(located(data)) == ["a.png", "night/a.png"]
    assert names_in(located(data, "val")) == ["c.png"]
    write_lists(data.split, test="b.png\r\n")
    assert splits_of(data) == ("train", "val", "test")
    assert names_in(located(data, "test")) == ["b.png"]


def test_images_in_no_list_are_counted(data: Any) -> None:
    remarks = [str(remark) for remark in located(data).remarks]
    assert any("no list has 1" in remark and "(first b.png)" in remark for remark in remarks)
    write_lists(data.split, test="b.png\n")
    assert not any("no list has" in str(remark) for remark in located(data).remarks)


WRONG: dict[str, tuple[dict[str, str], str, str]] = {
    "two splits": ({"val": "c.png\na.png\n"}, "val", "val.txt: lists 'a.png', as "),
    "not there": ({"train": "a.png\nd.png\n"}, "train", "train.txt: lists 'd.png'"),
    "twice": ({"train": "a.png\na.png\n"}, "train", "train.txt: lists 'a.png' twice"),
    "empty": ({"train": "\n"}, "train", "train.txt: is empty"),
    "other letters": ({"train": "A.png\n"}, "train", "U+0041 (LATIN CAPITAL LETTER A)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_lists(data: Any, name: str) -> None:
    lists, split, expected = WRONG[name]
    write_lists(data.split, **lists)
    assert expected in refusal(data, split)


def test_a_missing_list_or_folder(data: Any) -> None:
    (data.split / "train.txt").unlink()
    assert "train.txt: does not exist" in refusal(data)
    assert "there is no folder" in refusal(data.model_copy(update={"split": Path("/nowhere")}))


def test_windows_separators_and_a_byte_order_mark(data: Any) -> None:
    (data.split / "train.txt").write_bytes(b"\xef\xbb\xbfnight\\a.png\r\na.png\r\n")
    assert names_in(located(data)) == ["night/a.png", "a.png"]


def test_content_follows_the_lists(data: Any, tmp_path: Path) -> None:
    def content() -> Any:
        return [source_content(data, split, Digests()) for split in ("train", "val")]

    before = content()
    write_lists(data.split, train="a.png\n")
    after = content()
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_several_instances_files_are_put_together(tmp_path: Path) -> None:
    for folder, names in (("one", ["a.png"]), ("two", ["a.png", "b.png"])):
        write_instances(tmp_path / folder / "all.json", names, "cat" if folder == "one" else "dog")
        for name in names:
            add_image(tmp_path / folder / name, len(folder))
    lists = write_lists(tmp_path / "lists", train="two/b.png\none/a.png\n", val="two/a.png\n")
    files = ("one/all.json", "two/all.json")
    data = settings(
        "coco", tmp_path, annotations=files, images=("one", "two"), split=lists
    )  # fmt: skip
    found = located(data)
    assert names_in(found) == ["two/b.png", "one/a.png"]
    assert found.images == images_folder(data, "train", Path()) == tmp_path
    coco = json.loads(found.annotations.read_text())
    assert coco["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    by_image = {item["image_id"]: item["category_id"] for item in coco["annotations"]}
    assert [by_image[image["id"]] for image in coco["images"]] == [2, 1]


def test_files_of_the_same_images_are_put_together(tmp_path: Path) -> None:
    """One file for each class, as some tools export them."""
    add_image(tmp_path / "a.png")
    write_instances(tmp_path / "cats.json", ["a.png"])
    write_instances(tmp_path / "dogs.json", ["a.png"], "dog")
    lists = write_lists(tmp_path / "lists", train="a.png\n", val="a.png\n")
    files = ("cats.json", "dogs.json")
    data = settings("coco", tmp_path, annotations=files, images=".", split=lists)
    coco = json.loads(located(data).annotations.read_text())
    assert len(coco["images"]) == 1
    assert sorted(item["category_id"] for item in coco["annotations"]) == [1, 2]


SPLIT = {"annotations": "a.json", "images": "a"}
KEYS: list[tuple[Callable[[], dict[str, Any]], str]] = [
    (lambda: {"train": SPLIT}, "key is missing"),
    (lambda: {"annotations": "a.json", "images": "."}, "key is missing"),
    (lambda: {"annotations": "a.json", "split": "lists"}, "key is missing"),
    (lambda: {"train": SPLIT, "val": SPLIT, "split": "lists"}, "stands beside split"),
    (
        lambda: {"annotations": ["a.json"], "images": ["a", "b"], "split": "lists"},
        "names 2 folders for 1 annotations",
    ),
]


@pytest.mark.parametrize(("keys", "expected"), KEYS)
def test_keys_that_do_not_fit_together(keys: Any, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        settings("coco", Path(), **keys())
