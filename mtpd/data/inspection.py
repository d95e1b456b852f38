"""Everything that is wrong with a split, where the data step stops at the first problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mtpd.data.coco import BORDER, find_bad_boxes, sound_parts
from mtpd.data.counts import Counts
from mtpd.data.images import image_problems
from mtpd.errors import UserError
from mtpd.files import read_json

Progress = Callable[[int], Callable[[], object]]
"""Gets the number of images before they are read; gives what is called after each."""


@dataclass(frozen=True)
class Inspection:
    """What was found in one split.

    Attributes:
        counts: How much of it.
        classes: Category names in the order of the file.
        missing: Images that are not there.
        damaged: Images that are there but cannot be used.
        problems: Everything that must be mended, images included.
        left_out: Boxes that cannot be used and that the data step will leave out.
    """

    counts: Counts
    classes: tuple[str, ...]
    missing: int
    damaged: int
    problems: tuple[UserError, ...]
    left_out: tuple[UserError, ...]


def inspect_coco(
    annotations: Path,
    images: Path,
    *,
    source: Path,
    bad_boxes: Literal["error", "drop"],
    border: float = BORDER,
    decode: bool = False,
    progress: Progress = lambda _: lambda: None,
) -> Inspection:
    """Go through an instances file and all images that it names.

    Args:
        annotations: Instances JSON.
        images: Folder that its file names are relative to.
        source: The user's own annotations, which may have been converted; problems name them.
        bad_boxes: Whether boxes that cannot be used are problems, or are left out.
        border: Pixels by which a box may leave its image.
        decode: Decode every image whole; otherwise its header and last bytes are read.
        progress: Is told how far the images are.

    Raises:
        UserError: The file cannot be read, or is not JSON.
    """
    coco = read_json(annotations, "give a COCO instances JSON")
    problems: list[UserError] = []
    parts = sound_parts(source, coco, problems.append)
    boxes = list(_box_errors(source, parts, border))
    files = [images / image["file_name"] for image in parts["images"]]
    found = {}
    if images.is_dir():
        expected = [
            (file, image["width"], image["height"])
            for file, image in zip(files, parts["images"], strict=True)
        ]
        found = image_problems(expected, decode=decode, advance=progress(len(files)))
    else:
        problem, remedy = "is not a folder", f"put the images of {source} there"
        problems.append(UserError(images, problem, remedy))
    missing = sum(not files[i].exists() for i in found)
    problems += [
        UserError(f"{source}: image {parts['images'][i]['id']}", problem, remedy)
        for i, (problem, remedy) in found.items()
    ]
    return Inspection(
        counts=_counts(coco),
        classes=tuple(category["name"] for category in parts["categories"]),
        missing=missing if images.is_dir() else len(files),
        damaged=len(found) - missing,
        problems=(*problems, *(boxes if bad_boxes == "error" else ())),
        left_out=tuple(boxes) if bad_boxes == "drop" else (),
    )


def _box_errors(path: Path, parts: dict[str, Any], border: float) -> list[UserError]:
    names = {image["id"]: image["file_name"] for image in parts["images"]}
    errors = []
    for position, reason in find_bad_boxes(parts, border).items():
        item = parts["annotations"][position]
        where = f"{path}: annotation {item['id']} of image {names[item['image_id']]}"
        problem = f"bbox {item['bbox']} is {reason}"
        errors.append(UserError(where, problem, "correct it, or set data.bad_boxes: drop"))
    return errors


def _counts(coco: object) -> Counts:
    """Of the file as it is, sound or not."""
    if not isinstance(coco, dict):
        return Counts()
    lists = {key: value for key, value in coco.items() if isinstance(value, list)}
    boxes = lists.get("annotations", [])
    return Counts(
        images=len(lists.get("images", [])),
        boxes=len(boxes),
        crowds=sum(1 for box in boxes if isinstance(box, dict) and bool(box.get("iscrowd"))),
        classes=len(lists.get("categories", [])),
        sequences=len(lists["sequences"]) if "sequences" in lists else None,
    )
