"""COCO instances files: judge one before anything is trained on it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeGuard

from mtpd.data.images import check_images
from mtpd.data.masks import has_mask
from mtpd.data.tidy import ALL, SMALLEST_SIDE, Classes, Item, Report, tidied
from mtpd.errors import UserError
from mtpd.files import read_json, sha256_of, whole_file

Keys = Mapping[str, tuple[type, ...]]
IMAGE_KEYS: Keys = {"id": (int,), "file_name": (str,), "width": (int,), "height": (int,)}
CATEGORY_KEYS: Keys = {"id": (int,), "name": (str,)}
ANNOTATION_KEYS: Keys = {
    "id": (int,),
    "image_id": (int,),
    "category_id": (int,),
    "bbox": (list,),
    "area": (int, float),
    "iscrowd": (int, bool),
}
JSON_NAMES = {int: "integer", float: "number", str: "text", list: "list", bool: "boolean"}

BadBoxes = Literal["error", "drop", "keep"]
INSTANCES = "give a COCO instances JSON"

BORDER = 1.0
"""Pixels by which a box may stick out of its image: real annotations are rounded."""

NOT_NUMBERS = "not four finite numbers"
TOO_SMALL = "of no area or less than a pixel wide or high"
OUTSIDE = "outside the image"


@dataclass(frozen=True)
class Rules:
    """How a split is judged.

    Attributes:
        bad_boxes: Whether a box that is not four finite numbers, has no area, is less than a pixel
            wide or high, leaves its image by more than ``border`` or lies wholly outside it is an
            error, left out, or kept as it is (a box without four finite numbers is an error then
            too). Crowds may have any four numbers.
        border: Pixels by which a box may leave its image; infinite where boxes are drawn around
            whole objects, seen or not.
        classes: Those that the split is to have.
        measured: Sizes of images were read from these.
        decode: Decode every image whole.
    """

    bad_boxes: BadBoxes = "error"
    border: float = BORDER
    classes: Classes = ALL
    measured: bool = False
    decode: bool = False


STRICT = Rules()


@dataclass(frozen=True)
class Judged:
    """An instances file as it is used.

    Attributes:
        coco: Its content: items in which no problem was found, bad boxes included.
        bad: Reason by position in ``annotations`` of every box that is left out, or an error.
        odd: As ``bad``, of boxes that are as bad and stay.
        remarks: What was taken otherwise than it is written, with counts.
        is_changed: Whether the content is another than the file's, bad boxes aside.
    """

    coco: Item
    bad: dict[int, str]
    odd: dict[int, str]
    remarks: tuple[UserError, ...]
    is_changed: bool

    @property
    def kept(self) -> list[Item]:
        """Annotations to use."""
        return [item for i, item in enumerate(self.coco["annotations"]) if i not in self.bad]

    @property
    def classes(self) -> tuple[str, ...]:
        """Category names in the order of the file, which is the order of class labels."""
        return tuple(category["name"] for category in self.coco["categories"])


@dataclass(frozen=True)
class Unmasked:
    """Annotations without a mask: the first, their number, and that of all."""

    first: str
    count: int
    of: int

    def __str__(self) -> str:
        return f"{self.first} has no mask, as {self.count} of {self.of}"


@dataclass(frozen=True)
class CocoSummary:
    """What was found in one split.

    Attributes:
        annotations: The file to use: the original, or the copy where anything was changed.
        classes: Category names in the order of class labels.
        n_images: Number of images, those without annotations included.
        n_empty: How many of those have no annotation.
        n_boxes: Number of annotations to use, crowds included.
        n_crowds: How many of those are crowds.
        unmasked: Annotations to use without polygon or RLE mask; None: all have one.
        dropped: Number of boxes left out, by reason.
        odd: Number of boxes that are as bad and stay, by reason.
        boxes_per_class: Number of annotations to use by class name, crowds included.
        remarks: What was taken otherwise than it is written, with counts.
        sha256: Of the bytes of ``annotations``.
    """

    annotations: Path
    classes: tuple[str, ...]
    n_images: int
    n_empty: int
    n_boxes: int
    n_crowds: int
    unmasked: Unmasked | None
    dropped: dict[str, int]
    odd: dict[str, int]
    boxes_per_class: dict[str, int]
    remarks: tuple[UserError, ...]
    sha256: str

    @property
    def has_masks(self) -> bool:
        """Whether every annotation to use has a mask."""
        return self.unmasked is None


def check_coco(
    annotations: Path, images: Path, rules: Rules = STRICT, *, cleaned: Path | None = None
) -> CocoSummary:
    """Check an instances file and the images that it names.

    Args:
        annotations: Instances JSON.
        images: Folder that its file names are relative to.
        rules: How it is judged.
        cleaned: Where a copy is written if anything is used otherwise than it stands in the file.

    Raises:
        UserError: The file or an image cannot be used as it is.
    """
    if rules.bad_boxes == "drop" and cleaned is None:
        raise ValueError("boxes can be dropped only if the cleaned copy has a place")
    coco = read_json(annotations, INSTANCES)
    judged = judge(annotations, coco, images, rules, _raise)
    seen = _check_images(annotations, images, judged.coco["images"], rules)
    if judged.bad and rules.bad_boxes != "drop":
        _refuse(annotations, judged.coco, judged.bad)
    kept = judged.kept
    used = annotations
    if (judged.bad or judged.is_changed) and cleaned is not None:
        write_coco(cleaned, judged.coco | {"annotations": kept})
        used = cleaned
    names = {category["id"]: category["name"] for category in judged.coco["categories"]}
    per_class = Counter(names[item["category_id"]] for item in kept)
    return CocoSummary(
        annotations=used,
        classes=judged.classes,
        n_images=len(judged.coco["images"]),
        n_empty=count_empty(judged.coco | {"annotations": kept}),
        n_boxes=len(kept),
        n_crowds=sum(1 for item in kept if item["iscrowd"]),
        unmasked=find_unmasked(annotations, judged.coco, kept),
        dropped=dict(Counter(judged.bad.values())),
        odd=dict(Counter(judged.odd.values())),
        boxes_per_class={name: per_class[name] for name in names.values()},
        remarks=(*judged.remarks, *seen),
        sha256=sha256_of(used),
    )


def judge(path: Path, coco: object, images: Path, rules: Rules, report: Report) -> Judged:
    """Judge the content of an instances file; its images are not looked at.

    Args:
        path: The file, for what is reported.
        coco: Its content; it is changed.
        images: Folder that its file names are relative to.
        rules: How it is judged.
        report: Gets every problem but those of boxes.
    """
    remarks: list[UserError] = []
    is_changed = False
    if has_lists(coco):
        tidy = tidied(path, coco, images, rules.classes, report)
        remarks, is_changed = tidy.remarks, tidy.is_changed
    parts = sound_parts(path, coco, report)
    bad, odd = find_bad_boxes(parts, rules.border), {}
    if rules.bad_boxes == "keep":
        odd = {i: reason for i, reason in bad.items() if reason != NOT_NUMBERS}
        bad = {i: reason for i, reason in bad.items() if reason == NOT_NUMBERS}
    if parts["annotations"] and len(bad) == len(parts["annotations"]) and rules.bad_boxes == "drop":
        remedy = "annotate at least one object in this split"
        report(UserError(path, "has no annotation that can be used", remedy))
    whole = {**coco, **parts} if isinstance(coco, dict) else parts
    return Judged(whole, bad, odd, tuple(remarks), is_changed)


def count_empty(coco: Item) -> int:
    """Number of images without any annotation."""
    used = {item["image_id"] for item in coco["annotations"]}
    return sum(1 for image in coco["images"] if image["id"] not in used)


def find_unmasked(path: Path, coco: Item, items: Sequence[Item]) -> Unmasked | None:
    """Those of ``items`` without a mask; None: all have one."""
    found = [item for item in items if not has_mask(item)]
    if not found:
        return None
    image = next(image for image in coco["images"] if image["id"] == found[0]["image_id"])
    where = f"{path}: annotation {found[0]['id']} of image {image['file_name']}"
    return Unmasked(where, len(found), len(items))


def mask_remarks(unmasked: Unmasked | None) -> list[UserError]:
    """What to say where some annotations have masks and others not."""
    if unmasked is None or unmasked.count == unmasked.of:
        return []
    problem = f"has no mask, as {unmasked.count} of {unmasked.of}"
    return [UserError(unmasked.first, problem, "detectors of masks need one for every box")]


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
        report(UserError(path, "is not a JSON object", INSTANCES))
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


def has_lists(coco: object) -> TypeGuard[Item]:
    """Whether it is an object with the three lists of an instances file."""
    return isinstance(coco, dict) and all(
        isinstance(coco.get(key), list) for key in ("images", "categories", "annotations")
    )


def _raise(error: UserError) -> NoReturn:
    raise error


def _sound_items(path: Path, coco: Item, key: str, keys: Keys, report: Report) -> list[Item]:
    """Items of the list under ``key`` that have ``keys`` of these types, each id once."""
    items = coco.get(key)
    if not isinstance(items, list):
        problem = "is missing" if items is None else "is not a list"
        report(UserError(f"{path}: {key}", problem, INSTANCES))
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


def _check_images(path: Path, folder: Path, images: list[Item], rules: Rules) -> list[UserError]:
    """Refuse images that cannot be used; gives what must be said of the others."""
    if not folder.is_dir():
        raise UserError(folder, "is not a folder", f"give the folder of the images of {path}")
    files = [folder / image["file_name"] for image in images]
    expected = [
        (file, image["width"], image["height"]) for file, image in zip(files, images, strict=True)
    ]
    found = check_images(expected, measured=rules.measured, decode=rules.decode)
    if found.problems:
        first, (problem, remedy) = next(iter(found.problems.items()))
        number = len(found.problems) - 1
        others = f" (and {number} more images have problems)" * (number > 0)
        raise UserError(f"{path}: image {images[first]['id']}", problem + others, remedy)
    return found.remarks(path, files)


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


def _repeated(values: Iterable[Any]) -> list[Any]:
    """Values that are there more than once."""
    return [value for value, count in Counter(values).items() if count > 1]
