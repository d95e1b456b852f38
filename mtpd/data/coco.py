"""COCO instances files: judge one before anything is trained on it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from mtpd.data.images import image_problems
from mtpd.errors import UserError
from mtpd.files import read_json, sha256_of, whole_file

Item = dict[str, Any]
Keys = Mapping[str, tuple[type, ...]]
Report = Callable[[UserError], object]
"""What becomes of a problem: it is raised, or put on a list and the check goes on."""

IMAGE_KEYS: Keys = {"id": (int,), "file_name": (str,), "width": (int,), "height": (int,)}
CATEGORY_KEYS: Keys = {"id": (int,), "name": (str,)}
# Without area and iscrowd neither MMDetection nor the COCO evaluation can use an annotation.
ANNOTATION_KEYS: Keys = {
    "id": (int,),
    "image_id": (int,),
    "category_id": (int,),
    "bbox": (list,),
    "area": (int, float),
    "iscrowd": (int, bool),
}
JSON_NAMES = {int: "integer", float: "number", str: "text", list: "list", bool: "boolean"}

BORDER = 1.0
"""Pixels by which a box may stick out of its image: real annotations are rounded."""

SMALLEST_SIDE = 1.0
"""Pixels; MMDetection leaves smaller boxes out without a word."""

NOT_NUMBERS = "not four finite numbers"
TOO_SMALL = "of no area or less than a pixel wide or high"
OUTSIDE = "outside the image"


@dataclass(frozen=True)
class CocoSummary:
    """What was found in one split.

    Attributes:
        annotations: The file to use: the original, or the cleaned copy where boxes were left out.
        classes: Category names in the order of the file, which is the order of class labels.
        n_images: Number of images, those without annotations included.
        n_boxes: Number of annotations to use, crowds included.
        n_crowds: How many of those are crowds.
        has_masks: Every annotation to use has a polygon or RLE mask.
        dropped: Number of boxes left out, by reason.
        odd: Number of boxes that are as bad and stay, by reason.
        boxes_per_class: Number of annotations to use by class name, crowds included.
        sha256: Of the bytes of ``annotations``.
    """

    annotations: Path
    classes: tuple[str, ...]
    n_images: int
    n_boxes: int
    n_crowds: int
    has_masks: bool
    dropped: dict[str, int]
    odd: dict[str, int]
    boxes_per_class: dict[str, int]
    sha256: str


def check_coco(
    annotations: Path,
    images: Path,
    *,
    bad_boxes: Literal["error", "drop", "keep"] = "error",
    cleaned: Path | None = None,
    border: float = BORDER,
) -> CocoSummary:
    """Check an instances file and the images that it names.

    Args:
        annotations: Instances JSON.
        images: Folder that its file names are relative to.
        bad_boxes: Whether a box that is not four finite numbers, has no area, is less than a
            pixel wide or high, leaves its image by more than ``border`` or lies wholly outside it
            is an error, left out, or kept as it is (a box without four finite numbers is an error
            then too). Crowds may have any four numbers.
        cleaned: Where a copy without the bad boxes is written if there are any; needed to drop.
        border: Pixels by which a box may leave its image; infinite where boxes are drawn around
            whole objects, seen or not.

    Raises:
        UserError: The file or an image cannot be used as it is.
    """
    if bad_boxes == "drop" and cleaned is None:
        raise ValueError("boxes can be dropped only if the cleaned copy has a place")
    coco = read_json(annotations, "give a COCO instances JSON")
    sound_parts(annotations, coco, _raise)
    _check_images(annotations, images, coco["images"])

    bad = find_bad_boxes(coco, border)
    odd = {}
    if bad_boxes == "keep":
        odd = {i: reason for i, reason in bad.items() if reason != NOT_NUMBERS}
        bad = {i: reason for i, reason in bad.items() if reason == NOT_NUMBERS}
    if bad and bad_boxes != "drop":
        _refuse(annotations, coco, bad)
    kept = [item for i, item in enumerate(coco["annotations"]) if i not in bad]
    if not kept:
        raise UserError(
            annotations,
            "has no annotation that can be used",
            "annotate at least one object in this split",
        )
    used = annotations
    if bad and cleaned is not None:
        write_coco(cleaned, coco | {"annotations": kept})
        used = cleaned
    names = {category["id"]: category["name"] for category in coco["categories"]}
    per_class = Counter(names[item["category_id"]] for item in kept)
    return CocoSummary(
        annotations=used,
        classes=tuple(names.values()),
        n_images=len(coco["images"]),
        n_boxes=len(kept),
        n_crowds=sum(1 for item in kept if item["iscrowd"]),
        has_masks=all(_has_mask(item) for item in kept),
        dropped=dict(Counter(bad.values())),
        odd=dict(Counter(odd.values())),
        boxes_per_class={name: per_class[name] for name in names.values()},
        sha256=sha256_of(used),
    )


def check_same_classes(where: object, expected: Sequence[str], found: Sequence[str]) -> None:
    """Refuse a split whose classes are not those of the data set's first split, in their order.

    Args:
        where: The split's file.
        expected: Class names of the first split.
        found: Class names of this split.

    Raises:
        UserError: They differ; the first difference is named.
    """
    for i, (a, b) in enumerate(zip(expected, found, strict=False), start=1):
        if a != b:
            problem = f"class {i} is '{b}', in the other split it is '{a}'"
            break
    else:
        if len(expected) == len(found):
            return
        problem = f"has {len(found)} classes, the other split has {len(expected)}"
    raise UserError(where, problem, "give every split the same categories in the same order")


def write_coco(path: Path, coco: Item) -> None:
    """Write an instances file whole, without spaces: COCO's own has half a gigabyte."""
    with whole_file(path) as temporary:
        text = json.dumps(coco, ensure_ascii=False, separators=(",", ":"))
        temporary.write_text(text, encoding="utf-8")


def sound_parts(path: Path, coco: object, report: Report) -> Item:
    """Check keys, types, ids, and what refers to what.

    Args:
        path: The file, for what is reported.
        coco: Its content.
        report: Gets every problem.

    Returns:
        The images, categories and annotations in which no problem was found, by these keys.
    """
    if not isinstance(coco, dict):
        report(UserError(path, "is not a JSON object", "give a COCO instances JSON"))
        return {"images": [], "categories": [], "annotations": []}
    images = _sound_items(path, coco, "images", IMAGE_KEYS, report)
    categories = _sound_items(path, coco, "categories", CATEGORY_KEYS, report)
    annotations = _sound_items(path, coco, "annotations", ANNOTATION_KEYS, report)
    for image in images:
        if image["width"] < 1 or image["height"] < 1:
            where = f"{path}: image {image['id']}"
            size = f"{image['width']}x{image['height']}"
            report(UserError(where, f"has the size {size}", "give its size in pixels"))
    for name in _repeated(category["name"] for category in categories):
        where = f"{path}: categories"
        report(UserError(where, f"two have the name '{name}'", "give every class its own"))
    image_ids = {image["id"] for image in images}
    category_ids = {category["id"] for category in categories}
    linked = []
    for item in annotations:
        where = f"{path}: annotation {item['id']}"
        if item["image_id"] not in image_ids:
            problem = f"belongs to image {item['image_id']}, which is not in 'images'"
            report(UserError(where, problem, "remove it or add its image"))
        elif item["category_id"] not in category_ids:
            problem = f"has category_id {item['category_id']}, which is not in 'categories'"
            report(UserError(where, problem, "correct it or add the category"))
        else:
            linked.append(item)
    return {"images": images, "categories": categories, "annotations": linked}


def _raise(error: UserError) -> NoReturn:
    raise error


def _sound_items(path: Path, coco: Item, key: str, keys: Keys, report: Report) -> list[Item]:
    """Items of the list under ``key`` that have ``keys`` of these types, each id once."""
    items = coco.get(key)
    if not isinstance(items, list):
        problem = "is missing" if items is None else "is not a list"
        report(UserError(f"{path}: {key}", problem, "give a COCO instances JSON"))
        return []
    if not items:
        report(UserError(f"{path}: {key}", "is empty", f"give at least one item in '{key}'"))
    sound = []
    for i, item in enumerate(items):
        error = _item_error(f"{path}: {key}[{i}]", item, keys)
        if error is None:
            sound.append(item)
        else:
            report(error)
    for number in _repeated(item["id"] for item in sound):
        report(UserError(f"{path}: {key}", f"two have the id {number}", "make ids unique"))
    return sound


def _item_error(where: str, item: object, keys: Keys) -> UserError | None:
    if not isinstance(item, dict):
        return UserError(where, "is not an object", f"give an object with {', '.join(keys)}")
    for key, types in keys.items():
        # The exact type, as JSON's true would pass for the integer 1.
        if type(item.get(key)) not in types:
            known = f" (id {item['id']})" if type(item.get("id")) is int else ""
            kind = " or ".join(JSON_NAMES[t] for t in types)
            problem = f"'{key}' is {item[key]!r:.40}" if key in item else f"'{key}' is missing"
            return UserError(f"{where}{known}", problem, f"give '{key}' as {kind}")
    return None


def _check_images(path: Path, folder: Path, images: list[Item]) -> None:
    if not folder.is_dir():
        raise UserError(folder, "is not a folder", f"give the folder of the images of {path}")
    expected = [(folder / image["file_name"], image["width"], image["height"]) for image in images]
    problems = image_problems(expected)
    if problems:
        first, (problem, remedy) = next(iter(problems.items()))
        others = f" (and {len(problems) - 1} more images have problems)" * (len(problems) > 1)
        raise UserError(f"{path}: image {images[first]['id']}", problem + others, remedy)


def find_bad_boxes(coco: Item, border: float) -> dict[int, str]:
    """Reason by position in ``annotations`` of every box that cannot be used."""
    sizes = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
    reasons = (
        (i, _box_problem(item, *sizes[item["image_id"]], border))
        for i, item in enumerate(coco["annotations"])
    )
    return {i: reason for i, reason in reasons if reason is not None}


def _box_problem(item: Item, width: int, height: int, border: float) -> str | None:
    box = item["bbox"]
    if len(box) != 4 or not all(type(v) in (int, float) and math.isfinite(v) for v in box):
        return NOT_NUMBERS
    if item["iscrowd"]:
        return None
    x, y, w, h = box
    if not (w >= SMALLEST_SIDE and h >= SMALLEST_SIDE and item["area"] > 0):
        return TOO_SMALL
    inside = x >= -border and y >= -border and x + w <= width + border and y + h <= height + border
    # MMDetection leaves a box that shares no pixel with its image out without a word.
    touches = x < width and y < height and x + w > 0 and y + h > 0
    return None if inside and touches else OUTSIDE


def _refuse(path: Path, coco: Item, bad: dict[int, str]) -> None:
    position, reason = next(iter(bad.items()))
    first = coco["annotations"][position]
    image = next(image for image in coco["images"] if image["id"] == first["image_id"])
    raise UserError(
        f"{path}: annotation {first['id']} of image {image['file_name']}",
        f"bbox {first['bbox']} is {reason}"
        f" ({len(bad)} of {len(coco['annotations'])} boxes cannot be used)",
        "correct it, or set data.bad_boxes: drop to leave them out",
    )


def _has_mask(item: Item) -> bool:
    """Whether the segmentation is an RLE or polygons of at least three corners."""
    mask = item.get("segmentation")
    if isinstance(mask, dict):
        return "counts" in mask and "size" in mask
    return (
        isinstance(mask, list)
        and len(mask) > 0
        and all(isinstance(p, list) and len(p) >= 6 and len(p) % 2 == 0 for p in mask)
    )


def _repeated(values: Iterable[Any]) -> list[Any]:
    """Values that are there more than once."""
    return [value for value, count in Counter(values).items() if count > 1]
