"""COCO instances files: judge one before anything is trained on it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from mtpd.data.images import check_images, expected_images
from mtpd.data.instances import INSTANCES, has_lists, sound_parts, write_coco
from mtpd.data.masks import Unmasked, find_unmasked
from mtpd.data.tidy import ALL, SMALLEST_SIDE, Classes, Item, Report, tidied
from mtpd.errors import UserError
from mtpd.files import read_json, sha256_of

BadBoxes = Literal["error", "drop", "keep"]

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
        decode: Decode every image whole.
    """

    bad_boxes: BadBoxes = "error"
    border: float = BORDER
    classes: Classes = ALL
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


def _raise(error: UserError) -> NoReturn:
    raise error


def _check_images(path: Path, folder: Path, images: list[Item], rules: Rules) -> list[UserError]:
    """Refuse images that cannot be used; gives what must be said of the others."""
    if not folder.is_dir():
        raise UserError(folder, "is not a folder", f"give the folder of the images of {path}")
    expected = expected_images(folder, images)
    found = check_images(expected, decode=rules.decode)
    if found.problems:
        first, (problem, remedy) = next(iter(found.problems.items()))
        number = len(found.problems) - 1
        others = f" (and {number} more images have problems)" * (number > 0)
        raise UserError(f"{path}: image {images[first]['id']}", problem + others, remedy)
    return found.remarks(path, [image.path for image in expected])


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
