"""What folders are taken for, and what is said where they are nothing, or two things."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from folders import coco, roboflow, voc, yolo

from mtpd.errors import UserError
from mtpd.intake.recognise import recognise

NAMES = "nc: 2\nnames: [red, blue]\n"


def refusal(root: Path, wanted: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        recognise(root, wanted)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write_list(path: Path, names: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def test_labelimgs_folder(tmp_path: Path) -> None:
    names = voc(tmp_path, tmp_path, 4)
    (tmp_path / "p000.xml").unlink()
    found = recognise(tmp_path)
    assert found.kind == "Pascal VOC, flat, XML beside the images"
    paths = {"root": str(tmp_path), "annotations": ".", "images": "."}
    assert found.data == {"source": "voc", **paths}
    assert found.parts == {"": tuple(f"{name}.jpg" for name in names[1:])}
    assert found.remarks == ("1 images have no XML file (first p000.jpg): left out",)


def test_xml_apart_from_the_images(tmp_path: Path) -> None:
    voc(tmp_path / "pictures" / "day", tmp_path / "labels" / "day", 2)
    voc(tmp_path / "pictures" / "night", tmp_path / "labels" / "night", 2)
    (tmp_path / "labels" / "night" / "alone.xml").write_text("<annotation></annotation>")
    found = recognise(tmp_path)
    assert (found.data["annotations"], found.data["images"]) == ("labels", "pictures")
    assert found.parts == {"": ("day/p000.jpg", "day/p001.jpg", "night/p000.jpg", "night/p001.jpg")}
    assert found.remarks == ("1 XML files have no image (first night/alone.xml): left out",)


def test_vocs_layout_with_lists(tmp_path: Path) -> None:
    root = tmp_path / "VOCdevkit" / "VOC2012"
    names = voc(root / "JPEGImages", root / "Annotations", 4)
    for split, ids in (("train", names[:2]), ("val", names[2:]), ("dog_train", names[:1])):
        write_list(root / "ImageSets" / "Main" / f"{split}.txt", ids)
    found = recognise(tmp_path)
    assert found.data == {"source": "voc", "root": str(root), "test": None}
    assert found.parts is None


def test_vocs_layout_with_a_list_of_test_alone(tmp_path: Path) -> None:
    names = voc(tmp_path / "JPEGImages", tmp_path / "Annotations", 4)
    write_list(tmp_path / "ImageSets" / "Main" / "test.txt", names[:1])
    found = recognise(tmp_path)
    assert found.data == {"source": "voc", "root": str(tmp_path)}
    assert found.parts == {"test": ("p000.jpg",), "": ("p001.jpg", "p002.jpg", "p003.jpg")}


def test_folders_that_are_splits(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "valid", "test")):
        voc(tmp_path / split, tmp_path / split, 1, seed=number)
    assert recognise(tmp_path).parts == {
        "test": ("test/p002.jpg",),
        "train": ("train/p000.jpg",),
        "val": ("valid/p001.jpg",),
    }


def test_cocos_own_layout(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for kind in ("instances", "person_keypoints"):
            coco(tmp_path / f"annotations/{kind}_{split}2017.json", tmp_path / f"{split}2017", 1)
    found = recognise(tmp_path)
    entry = {"annotations": "annotations/instances_val2017.json", "images": "val2017"}
    assert (found.kind, found.parts) == ("COCO, a file for each split", None)
    assert found.data["val"] == entry


def test_roboflows_export(tmp_path: Path) -> None:
    roboflow(tmp_path, (("train", 2), ("valid", 1), ("test", 1)))
    found = recognise(tmp_path)
    assert found.kind == "COCO as Roboflow exports it, a file for each split"
    assert found.data["val"] == {"annotations": "valid/_annotations.coco.json", "images": "valid"}
    assert "test" in found.data


def test_roboflows_export_without_val_keeps_its_test(tmp_path: Path) -> None:
    roboflow(tmp_path, (("train", 2), ("test", 1)))
    found = recognise(tmp_path)
    assert found.data["images"] == ["test", "train"]
    assert found.parts == {
        "test": ("test/p100.jpg",),
        "train": ("train/p000.jpg", "train/p001.jpg"),
    }


def test_cvats_single_file(tmp_path: Path) -> None:
    coco(tmp_path / "annotations" / "instances_default.json", tmp_path / "images", 3)
    found = recognise(tmp_path)
    assert found.kind == "COCO as CVAT exports it, one file"
    paths = {"annotations": "annotations/instances_default.json", "images": "images"}
    assert found.data == {"source": "coco", "root": str(tmp_path), **paths}
    assert found.parts == {"": ("p000.jpg", "p001.jpg", "p002.jpg")}


def test_names_with_folders_of_windows(tmp_path: Path) -> None:
    coco(tmp_path / "a.json", tmp_path / "deep" / "images" / "sub", 2, prefix="sub\\")
    assert recognise(tmp_path).data["images"] == "deep/images"


def test_files_of_no_split_are_put_together_and_one_is_chosen_by_its_path(tmp_path: Path) -> None:
    coco(tmp_path / "one.json", tmp_path / "one", 1)
    coco(tmp_path / "two.json", tmp_path / "two", 1)
    found = recognise(tmp_path)
    assert (found.data["annotations"], found.data["images"]) == (
        ["one.json", "two.json"],
        ["one", "two"],
    )
    assert found.parts == {"": ("one/p000.jpg", "two/p000.jpg")}
    assert recognise(tmp_path / "two.json").data["annotations"] == "two.json"


def test_images_that_may_be_two(tmp_path: Path) -> None:
    coco(tmp_path / "labels" / "all.json", tmp_path / "day", 1)
    coco(tmp_path / "labels" / "all.json", tmp_path / "night", 1)
    assert "images: 'p000.jpg' is in" in refusal(tmp_path)


def test_two_files_of_one_split(tmp_path: Path) -> None:
    coco(tmp_path / "train.json", tmp_path / "images", 1)
    coco(tmp_path / "train_old.json", tmp_path / "images", 1)
    assert "train_old.json: is called train, and so is" in refusal(tmp_path)


def test_images_that_are_not_there(tmp_path: Path) -> None:
    coco(tmp_path / "train.json", tmp_path / "images", 1, prefix="lost/")
    line = refusal(tmp_path)
    assert "'lost/p000.jpg' is in none of the 1 folders of images" in line


def test_yolos_folder(tmp_path: Path) -> None:
    for split in ("train", "val"):
        yolo(tmp_path / "images" / split, tmp_path / "labels" / split, 2)
    (tmp_path / "data.yaml").write_text(f"train: images/train\nval: images/val\n{NAMES}")
    found = recognise(tmp_path)
    assert (found.kind, found.parts) == ("YOLO", None)
    assert found.data == {"source": "yolo", "root": str(tmp_path), "test": None}


@pytest.mark.parametrize(
    ("keys", "parts"),
    [
        ("train: images\n", {"train"}),
        ("train: images\nval: images\n", {""}),
        ("train: images\ntest: images\n", {"train", "test"}),
    ],
)
def test_yolos_folder_without_a_split_of_its_own(tmp_path: Path, keys: str, parts: set) -> None:
    yolo(tmp_path / "images", tmp_path / "labels", 2)
    (tmp_path / "data.yaml").write_text(keys + NAMES)
    found = recognise(tmp_path)
    assert found.parts is not None
    assert set(found.parts) == parts
    assert found.parts[min(parts)] == ("images/p000.jpg", "images/p001.jpg")


def test_yolos_labels_with_a_list_of_classes(tmp_path: Path) -> None:
    yolo(tmp_path, tmp_path, 3)
    assert refusal(tmp_path).endswith(
        "has YOLO labels, and no file names their classes; add the class names, one a line, "
        "as classes.txt, or a data.yaml with names"
    )
    (tmp_path / "classes.txt").write_text("red\nblue\n")
    (tmp_path / "p001.txt").unlink()
    found = recognise(tmp_path)
    assert found.data["file"] == "classes.txt"
    assert found.parts == {"": ("p000.jpg", "p002.jpg")}
    assert found.remarks == ("1 images have no label file (first p001.jpg): left out",)


def test_two_formats_are_named(tmp_path: Path) -> None:
    yolo(tmp_path, tmp_path, 2)
    (tmp_path / "classes.txt").write_text("red\nblue\n")
    voc(tmp_path, tmp_path, 2)
    assert refusal(tmp_path).endswith(
        "has files of several formats, 2 of Pascal VOC XML and 1 of YOLO labels; "
        "say which is meant: --format voc or yolo"
    )
    assert recognise(tmp_path, "yolo").data["source"] == "yolo"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", json.dumps({"shapes": [], "imagePath": "a.jpg"}), "a.json is LabelMe's JSON"),
        ("annotations.xml", "<annotations><track/></annotations>", "is CVAT's own XML"),
        ("labels.csv", "file,x,y\n", "labels.csv is a CSV table"),
    ],
)
def test_formats_that_are_not_read_are_named(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    (tmp_path / name).write_text(content)
    line = refusal(tmp_path)
    assert words in line
    assert line.endswith("export it as COCO, Pascal VOC or YOLO")


def test_no_folder_and_no_images(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nowhere")
    (tmp_path / "a.xml").write_text("<annotation></annotation>")
    assert "has Pascal VOC XML and no image" in refusal(tmp_path)
