"""YOLO's text files, converted to a COCO instances file.

A ``data.yaml`` names the classes and the images of each split. Beside each image, or in a folder
``labels`` where its path has ``images``, lies a text file with one object a line: the class's
number, then the box's centre and size, or the corners of a polygon, as fractions of the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtpd.data.coco import write_coco
from mtpd.data.images import image_sizes
from mtpd.data.masks import polygon_area
from mtpd.data.yolo_files import YoloFile, label_file, listed_files, read_yolo_file
from mtpd.errors import UserError, raise_first
from mtpd.files import read_text
from mtpd.settings.data import YoloData

FRACTIONS = "give fractions of the image's width and height, from 0 to 1"
FARTHEST = 1.0
"""A point so far outside, in widths or heights of the image, was given in pixels."""
DIGITS = 4
"""Of a pixel: labels have six digits, and 0.5 of 64 pixels is to be 32."""

Box = dict[str, Any]


@dataclass(frozen=True)
class Labels:
    """What the label file of an image holds.

    Attributes:
        boxes: Annotations, without ids.
        repeated: Lines that were there before in the same file, left out.
    """

    boxes: list[Box]
    repeated: int = 0


def convert_yolo(data: YoloData, split: str, out: Path) -> tuple[UserError, ...]:
    """Convert one split. File names in ``out`` are relative to ``data.root``.

    Boxes are not judged here: :func:`mtpd.data.coco.check_coco` does that for every source.

    Args:
        data: Where it lies.
        split: ``train``, ``val`` or ``test``.
        out: Instances JSON to write. Image ids count from 1 in the order of the list.

    Returns:
        What was taken one way where it could be a mistake, with counts.

    Raises:
        UserError: A file is missing or wrong; ``parts`` has all that is wrong with labels.
    """
    yolo = read_yolo_file(data)
    listed = listed_files(data, yolo, split)
    sizes = image_sizes([data.root / name for name in listed.names])
    raise_first([size for size in sizes if isinstance(size, UserError)])
    images = [
        {"id": i, "file_name": name, "width": size[0], "height": size[1]}
        for i, (name, size) in enumerate(zip(listed.names, sizes, strict=True), start=1)
        if not isinstance(size, UserError)
    ]
    files = [label_file(data.root, name) for name in listed.names]
    found = _all_labels(yolo, images, files)
    annotations = [
        {"id": number} | box
        for number, box in enumerate((box for labels in found for box in labels.boxes), start=1)
    ]
    categories = [{"id": i, "name": name} for i, name in enumerate(yolo.names, start=1)]
    write_coco(out, {"images": images, "annotations": annotations, "categories": categories})
    repeated = sum(labels.repeated for labels in found)
    remarks = _remarks(f"{yolo.path}: {split}", listed.names, files, repeated)
    return (*yolo.remarks, *listed.remarks, *remarks)


def _remarks(
    where: str, names: Sequence[str], files: Sequence[Path | None], repeated: int
) -> list[UserError]:
    missing = [name for name, file in zip(names, files, strict=True) if file is None]
    if len(missing) == len(names):
        problem = f"none of {len(names)} images has a label file, such as that of {names[0]}"
        remedy = "put labels beside the images, or in a folder 'labels' beside the folder 'images'"
        raise UserError(where, problem, remedy)
    remarks = []
    if missing:
        problem = f"{len(missing)} of {len(names)} images have no label file (first {missing[0]})"
        remarks.append(UserError(where, problem, "they count as images without boxes"))
    if repeated:
        remarks.append(UserError(where, f"{repeated} lines of labels stand twice", "left out once"))
    return remarks


def _all_labels(
    yolo: YoloFile, images: Sequence[dict[str, Any]], files: Sequence[Path | None]
) -> list[Labels]:
    """Annotations of every image.

    Raises:
        UserError: Label files are wrong.
    """
    found, problems = list[Labels](), list[UserError]()
    for image, file in zip(images, files, strict=True):
        if file is None:
            found.append(Labels([]))
            continue
        try:
            found.append(_labels(file, image, len(yolo.names)))
        except UserError as error:
            problems += error.parts or (error,)
    raise_first(problems)
    return found


def _labels(path: Path, image: dict[str, Any], classes: int) -> Labels:
    lines = read_text(path, "give the labels of one image").splitlines()
    boxes, repeated = list[Box](), 0
    seen, problems = set[tuple[str, ...]](), list[UserError]()
    for number, line in enumerate(lines, start=1):
        words = tuple(line.split())
        if not words:
            continue
        if words in seen:
            repeated += 1
            continue
        seen.add(words)
        try:
            boxes.append(_annotation(f"{path}: line {number}", words, image, classes))
        except UserError as error:
            problems.append(error)
    raise_first(problems)
    return Labels(boxes, repeated)


def _annotation(where: str, words: Sequence[str], image: dict[str, Any], classes: int) -> Box:
    numbers = [_number(where, word) for word in words]
    if not (numbers[0].is_integer() and 0 <= numbers[0] < classes):
        problem = f"has the class '{words[0]}'"
        known = f"0 to {classes - 1}" if classes > 1 else "0"
        raise UserError(where, problem, f"names has the classes {known}")
    points = numbers[1:]
    if not (len(points) == 4 or (len(points) >= 6 and len(points) % 2 == 0)):
        remedy = (
            "give 5: class, centre x and y, width and height; or the class and at least three "
            "corners, x and y of each"
        )
        raise UserError(where, f"has {len(words)} numbers", remedy)
    far = next((p for p in points if not -FARTHEST <= p <= 1 + FARTHEST), None)
    if far is not None:
        raise UserError(where, f"has {far:g}, which is no fraction of the image", FRACTIONS)
    shape = _box(points, image) if len(points) == 4 else _polygon(points, image)
    return {"image_id": image["id"], "category_id": int(numbers[0]) + 1, **shape, "iscrowd": 0}


def _number(where: str, word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(where, f"has '{word}', which is no number", FRACTIONS)
    return number


def _box(points: Sequence[float], image: dict[str, Any]) -> Box:
    x, y, w, h = points
    width, height = w * image["width"], h * image["height"]
    left, top = (x - w / 2) * image["width"], (y - h / 2) * image["height"]
    box = [round(value, DIGITS) for value in (left, top, width, height)]
    return {"bbox": box, "area": round(max(width, 0) * max(height, 0), DIGITS)}


def _polygon(points: Sequence[float], image: dict[str, Any]) -> Box:
    """The polygon as a mask, the box around it, and its area."""
    xs = [x * image["width"] for x in points[::2]]
    ys = [y * image["height"] for y in points[1::2]]
    box = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    corners = [round(value, DIGITS) for corner in zip(xs, ys, strict=True) for value in corner]
    return {
        "bbox": [round(value, DIGITS) for value in box],
        "area": round(polygon_area(corners), DIGITS),
        "segmentation": [corners],
    }
