"""The papers' data sets in small: their real layouts, made of two COCO images a split."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mtpd.files import read_json, whole_folder

IMAGES = 2
"""Of a split: one step of two images."""

ARGOVERSE_CLASSES = (
    "person", "bicycle", "car", "motorcycle", "bus", "truck", "traffic light", "stop sign",
)  # fmt: skip


def make_data(source: str, coco: Path, out: Path) -> None:
    """Write a data set of ``source`` to the folder ``out``, if it is not there.

    Args:
        source: ``coco``, ``crowdhuman`` or ``argoverse_hd``.
        coco: Folder of a COCO data set that the images are taken from.
        out: Folder of the made one.
    """
    if out.is_dir():
        return
    with whole_folder(out) as folder:
        for split in ("train", "val"):
            MAKERS[source](coco, split, folder)


def _coco(coco: Path, split: str, out: Path) -> None:
    part = _part(coco, split, None)
    _copy(coco, split, part, out / f"{split}2017")
    _write(out / "annotations" / f"instances_{split}2017.json", part)


def _crowdhuman(coco: Path, split: str, out: Path) -> None:
    part = _part(coco, split, ("person",))
    _copy(coco, split, part, out / "Images")
    lines = []
    for image in part["images"]:
        boxes = [
            {
                "tag": "mask" if item["iscrowd"] else "person",
                "fbox": [round(value) for value in item["bbox"]],
                "vbox": [round(value) for value in item["bbox"]],
                "hbox": [round(value) for value in item["bbox"]],
                "head_attr": {},
                "extra": {},
            }
            for item in part["annotations"]
            if item["image_id"] == image["id"]
        ]
        lines.append(json.dumps({"ID": Path(image["file_name"]).stem, "gtboxes": boxes}))
    (out / f"annotation_{split}.odgt").write_text("\n".join(lines) + "\n")


def _argoverse(coco: Path, split: str, out: Path) -> None:
    part = _part(coco, split, ARGOVERSE_CLASSES)
    sequence = f"{split}/sequence/ring_front_center"
    _copy(coco, split, part, out / "Argoverse-1.1" / "tracking" / sequence)
    for frame, image in enumerate(part["images"]):
        image.update(sid=0, fid=frame, name=image.pop("file_name"))
    _write(
        out / "Argoverse-HD" / "annotations" / f"{split}.json",
        {**part, "sequences": ["sequence"], "seq_dirs": [sequence]},
    )


MAKERS: dict[str, Callable[[Path, str, Path], None]] = {
    "coco": _coco,
    "crowdhuman": _crowdhuman,
    "argoverse_hd": _argoverse,
}


def _part(coco: Path, split: str, classes: tuple[str, ...] | None) -> dict[str, Any]:
    """The wide images of ``split`` with the most objects of ``classes``, or else of all.

    All wide, so that they make one batch: MMDetection keeps wide and tall images apart.
    """
    raw = read_json(coco / "annotations" / f"instances_{split}2017.json")
    categories = [c for c in raw["categories"] if classes is None or c["name"] in classes]
    kept = {category["id"] for category in categories}
    items = [item for item in raw["annotations"] if item["category_id"] in kept]
    if classes is not None:
        names = {category["id"]: category["name"] for category in categories}
        categories = [{"id": i, "name": name} for i, name in enumerate(classes)]
        for item in items:
            item["category_id"] = classes.index(names[item["category_id"]])
    objects = {image["id"]: 0 for image in raw["images"] if image["width"] > image["height"]}
    for item in items:
        if item["image_id"] in objects and min(item["bbox"][2:]) >= 2:
            objects[item["image_id"]] += 1
    chosen = sorted(objects, key=lambda image: (-objects[image], image))[:IMAGES]
    return {
        "images": [image for image in raw["images"] if image["id"] in chosen],
        "annotations": [item for item in items if item["image_id"] in chosen],
        "categories": categories,
    }


def _copy(coco: Path, split: str, part: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for image in part["images"]:
        shutil.copy(coco / f"{split}2017" / image["file_name"], folder)


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
