"""Everything that is wrong with a split, where the data step stops at the first problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mtpd.data.coco import INSTANCES, Rules, count_empty, find_unmasked, judge, mask_remarks
from mtpd.data.counts import Counts
from mtpd.data.images import ImagesFound, check_images
from mtpd.data.tidy import Item
from mtpd.errors import UserError
from mtpd.files import read_json

Progress = Callable[[int], Callable[[], object]]
"""Gets the number of images before they are read; gives what is called after each."""


@dataclass(frozen=True)
class Inspection:
    """What was found in one split.

    Attributes:
        counts: How much of it.
        classes: Category names in the order of class labels.
        files: The images.
        missing: Images that are not there.
        damaged: Images that are there but cannot be used.
        empty: Images without annotations.
        problems: Everything that must be mended, images included.
        remarks: What is taken otherwise than it is written, with counts.
        left_out: Boxes that cannot be used and that the data step will leave out.
        odd: Boxes as bad that the evaluation counts.
    """

    counts: Counts
    classes: tuple[str, ...]
    files: tuple[Path, ...]
    missing: int
    damaged: int
    empty: int
    problems: tuple[UserError, ...]
    remarks: tuple[UserError, ...]
    left_out: tuple[UserError, ...]
    odd: tuple[UserError, ...]


def inspect_coco(
    annotations: Path,
    images: Path,
    rules: Rules,
    *,
    source: Path,
    progress: Progress = lambda _: lambda: None,
) -> Inspection:
    """Go through an instances file and all images that it names.

    Args:
        annotations: Instances JSON.
        images: Folder that its file names are relative to.
        rules: How it is judged.
        source: The user's own annotations, which may have been converted; problems name them.
        progress: Is told how far the images are.

    Raises:
        UserError: The file cannot be read, or is not JSON.
    """
    coco = read_json(annotations, INSTANCES)
    counts = _counts(coco)
    problems: list[UserError] = []
    judged = judge(source, coco, images, rules, problems.append)
    parts = judged.coco
    files = [images / image["file_name"] for image in parts["images"]]
    found = ImagesFound()
    if images.is_dir():
        expected = [
            (file, image["width"], image["height"])
            for file, image in zip(files, parts["images"], strict=True)
        ]
        found = check_images(
            expected,
            decode=rules.decode,
            measured=rules.measured,
            advance=progress(len(files)),
        )
    else:
        problem, remedy = "is not a folder", f"put the images of {source} there"
        problems.append(UserError(images, problem, remedy))
    missing = sum(not files[i].exists() for i in found.problems)
    problems += [
        UserError(f"{source}: image {parts['images'][i]['id']}", problem, remedy)
        for i, (problem, remedy) in found.problems.items()
    ]
    unmasked = mask_remarks(find_unmasked(source, parts, judged.kept))
    is_dropped = rules.bad_boxes == "drop"
    remedy = "it is left out" if is_dropped else "correct it, or set data.bad_boxes: drop"
    bad = _box_errors(source, parts, judged.bad, remedy)
    return Inspection(
        counts=counts,
        classes=judged.classes,
        files=tuple(files),
        missing=missing if images.is_dir() else len(files),
        damaged=len(found.problems) - missing,
        empty=count_empty(parts | {"annotations": judged.kept}),
        problems=(*problems, *(() if is_dropped else bad)),
        remarks=(*judged.remarks, *found.remarks(source, files), *unmasked),
        left_out=tuple(bad) if is_dropped else (),
        odd=tuple(_box_errors(source, parts, judged.odd, "the evaluation counts it")),
    )


def _box_errors(path: Path, parts: Item, boxes: dict[int, str], remedy: str) -> list[UserError]:
    names = {image["id"]: image["file_name"] for image in parts["images"]}
    errors = []
    for position, reason in boxes.items():
        item = parts["annotations"][position]
        where = f"{path}: annotation {item['id']} of image {names[item['image_id']]}"
        errors.append(UserError(where, f"bbox {item['bbox']} is {reason}", remedy))
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
