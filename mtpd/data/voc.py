"""Pascal VOC annotations, converted to a COCO instances file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import parse

from mtpd.data.coco import write_coco
from mtpd.data.images import check_images, image_sizes
from mtpd.data.voc_files import ImageNames, read_voc_list
from mtpd.errors import UserError, raise_first
from mtpd.settings.data import VocData

Trees = dict[Path, Element]


@dataclass(frozen=True)
class Pixels:
    """How the annotations number the pixels of a row, and what must be said of it."""

    first: int
    remarks: tuple[UserError, ...] = ()


def convert_voc(
    data: VocData, split: str, out: Path, classes: Sequence[str] | None = None
) -> tuple[UserError, ...]:
    """Convert one split. Its images stay where they are; file names are relative to their folder.

    Boxes are not judged here: :func:`mtpd.data.coco.check_coco` does that for every source. VOC
    numbers pixels from 1 and counts the last one in, so a box from ``xmin`` to ``xmax`` begins at
    ``x = xmin - 1`` and is ``xmax - xmin + 1`` wide. Equal corners would then be one pixel; they
    are a click without a drag, and are written with a side of 0 so that the check finds them.

    Objects marked difficult become crowds, which are neither learnt nor counted as missed, unless
    ``data.keep_difficult``. (In the COCO evaluation a crowd also excuses several detections, where
    VOC's own excuses one.)

    Args:
        data: Where it lies, and how it is read.
        split: ``train``, ``val`` or ``test``.
        out: Instances JSON to write. Image ids count from 1 in the order of the list.
        classes: Class names in the order of their labels; none: ``data.classes``, or else those of
            the split, sorted.

    Returns:
        What was taken one way where it could be a mistake, with counts.

    Raises:
        UserError: The list, an XML file or an image is missing or wrong, or an object's class is
            not among ``classes``.
    """
    listed = read_voc_list(data, split)
    trees = {entry.xml: _parsed(entry.xml) for entry in listed.entries}
    classes = classes or data.classes or _classes(trees)
    pixels = _pixels(data, split, trees)
    category_ids = {name: i for i, name in enumerate(classes, start=1)}
    names = ImageNames(data.root / data.images)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, entry in enumerate(listed.entries, start=1):
        tree = trees[entry.xml]
        file_name = names.find(entry, (tree.findtext("filename") or "").strip())
        size = _size(entry.xml, tree)
        images.append({"id": image_id, "file_name": file_name} | size)
        for number, instance in enumerate(tree.findall("object"), start=1):
            where = f"{entry.xml}: object {number}"
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image_id}
                | _annotation(where, instance, category_ids, data.keep_difficult, pixels.first)
            )
    files = [entry.xml for entry in listed.entries]
    remarks = _take_sizes(data.root / data.images, files, images)
    _check_images(data.root / data.images, files, images)
    categories = [{"id": i, "name": name} for i, name in enumerate(classes, start=1)]
    write_coco(out, {"images": images, "annotations": annotations, "categories": categories})
    return (*listed.remarks, *pixels.remarks, *remarks)


def _classes(trees: Trees) -> list[str]:
    """Names of all classes, sorted."""
    objects = ((path, o) for path, tree in trees.items() for o in tree.findall("object"))
    return sorted({_text(o, "name", path) for path, o in objects})


def _pixels(data: VocData, split: str, trees: Trees) -> Pixels:
    """The number of the first pixel, as it is set or else as boxes of the training split show it.

    Raises:
        UserError: Another split begins at 0, and the training split does not.
    """
    if data.first_pixel is not None:
        return Pixels(data.first_pixel)
    if split != "train":
        entries = read_voc_list(data, "train").entries
        train = {entry.xml: _parsed(entry.xml) for entry in entries}
        if any(_at_zero(train)):
            return Pixels(0)
        for path in _at_zero(trees):
            problem = "has a box that begins at 0, and no box of train does"
            remedy = "set data.first_pixel to 0 or 1, the number of a row's first pixel"
            raise UserError(path, problem, remedy)
        return Pixels(1)
    found = list(_at_zero(trees))
    if not found:
        return Pixels(1)
    problem = f"{len(found)} boxes begin at 0 (first in {found[0].name})"
    remedy = "pixels are taken as numbered from 0; data.first_pixel says so, or 1"
    return Pixels(0, (UserError(data.root / data.annotations, problem, remedy),))


def _at_zero(trees: Trees) -> Iterable[Path]:
    """The file of every box that begins at 0."""
    for path, tree in trees.items():
        for instance in tree.findall("object"):
            corners = (instance.findtext(f"bndbox/{tag}") or "" for tag in ("xmin", "ymin"))
            if any(_is_zero(corner) for corner in corners):
                yield path


def _is_zero(text: str) -> bool:
    try:
        return float(text) == 0
    except ValueError:  # the conversion says it
        return False


def _parsed(path: Path) -> Element:
    try:
        root: Element | None = parse(path).getroot()
    except ParseError as error:
        raise UserError(path, f"is not XML ({error})", "give a Pascal VOC annotation") from error
    # Refused entities and unknown encodings.
    except (OSError, ValueError, LookupError) as error:
        raise UserError(
            path, f"cannot be read ({error})", "give a Pascal VOC annotation"
        ) from error
    if root is None or root.tag != "annotation":
        raise UserError(path, "has no <annotation>", "give a Pascal VOC annotation")
    return root


def _size(path: Path, tree: Element) -> dict[str, int]:
    """Width and height; 0 where the file does not say it."""
    return {
        side: int(_number(tree, f"size/{side}", path)) if tree.findtext(f"size/{side}") else 0
        for side in ("width", "height")
    }


def _take_sizes(
    folder: Path, files: Sequence[Path], images: Sequence[dict[str, Any]]
) -> list[UserError]:
    """Give the images whose size is not written their own.

    Raises:
        UserError: They cannot be read.
    """
    unknown = [i for i, image in enumerate(images) if not (image["width"] and image["height"])]
    sizes = image_sizes([folder / images[i]["file_name"] for i in unknown])
    problems = []
    for i, size in zip(unknown, sizes, strict=True):
        if isinstance(size, UserError):
            problem = f"{size.where} {size.problem}"
            problems.append(UserError(files[i], problem, size.remedy))
        else:
            images[i]["width"], images[i]["height"] = size
    raise_first(problems)
    if not unknown:
        return []
    problem = f"{len(unknown)} of {len(images)} files say no size (first {files[unknown[0]].name})"
    return [UserError(files[unknown[0]].parent, problem, "it is taken from the images")]


def _annotation(
    where: str,
    instance: Element,
    category_ids: dict[str, int],
    keep_difficult: bool,
    first_pixel: int,
) -> dict[str, Any]:
    name = _text(instance, "name", where)
    if name not in category_ids:
        listed = ", ".join(category_ids)
        raise UserError(
            where, f"has the class '{name}'", f"use one of {listed}, or add it to data.classes"
        )
    x_min, y_min, x_max, y_max = (
        _number(instance, f"bndbox/{corner}", where) for corner in ("xmin", "ymin", "xmax", "ymax")
    )
    width, height = _side(x_min, x_max), _side(y_min, y_max)
    # <difficult/> without a word is what some programs write for no.
    difficult = bool((instance.findtext("difficult") or "").strip()) and (
        _number(instance, "difficult", where) != 0
    )
    return {
        "category_id": category_ids[name],
        "bbox": [x_min - first_pixel, y_min - first_pixel, width, height],
        "area": width * height,
        "iscrowd": int(difficult and not keep_difficult),
    }


def _side(first: float, last: float) -> float:
    """Length from one pixel to another, both counted in; not positive if they are not apart."""
    return last - first + 1 if last > first else last - first


def _text(element: Element, tag: str, where: object) -> str:
    text = (element.findtext(tag) or "").strip()
    if not text:
        problem = f"<{element.tag}> has no <{tag}>"
        raise UserError(where, problem, "give a complete Pascal VOC annotation")
    return text


def _number(element: Element, tag: str, where: object) -> float:
    text = _text(element, tag, where)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(where, f"<{tag}> is '{text}'", "give a number")
    return number


def _check_images(folder: Path, files: Sequence[Path], images: Sequence[dict[str, Any]]) -> None:
    """Refuse images that are damaged or not of the size that their XML file says."""
    problems = check_images(
        [(folder / image["file_name"], image["width"], image["height"]) for image in images]
    ).problems
    raise_first([UserError(files[i], *problem) for i, problem in problems.items()])
