"""Pascal VOC annotations, converted to a COCO instances file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import parse

from mtpd.data.coco import write_coco
from mtpd.data.images import image_problems
from mtpd.data.sources import listed_annotations
from mtpd.errors import UserError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


def convert_voc(
    root: Path,
    split: str,
    out: Path,
    *,
    classes: Sequence[str] | None = None,
    keep_difficult: bool = False,
    first_pixel: Literal[0, 1] = 1,
) -> tuple[str, ...]:
    """Convert one split. Its images stay in ``root/JPEGImages``, which file names are relative to.

    Boxes are not judged here: :func:`mtpd.data.coco.check_coco` does that for every source. VOC
    numbers pixels from 1 and counts the last one in, so a box from ``xmin`` to ``xmax`` begins at
    ``x = xmin - 1`` and is ``xmax - xmin + 1`` wide. Equal corners would then be one pixel; they
    are a click without a drag, and are written with a side of 0 so that the check finds them.

    Args:
        root: Folder with Annotations, ImageSets/Main and JPEGImages.
        split: Name of the list in ImageSets/Main, without ``.txt``.
        out: Instances JSON to write. Image ids count from 1 in the order of the list.
        classes: Class names in the order of their labels; none: those of the split, sorted.
        keep_difficult: Treat objects marked difficult like all others. Otherwise they become
            crowds, which are neither learnt nor counted as missed. (In the COCO evaluation a crowd
            also excuses several detections, where VOC's own excuses one.)
        first_pixel: Number that the annotations give to the first pixel of a row.

    Returns:
        The class names.

    Raises:
        UserError: The list, an XML file or an image is missing or wrong, or an object's class is
            not among ``classes``.
    """
    files = listed_annotations(root, split)
    trees = {path: _parsed(path) for path in files}
    if classes is None:
        objects = ((path, o) for path, tree in trees.items() for o in tree.findall("object"))
        classes = sorted({_text(o, "name", path) for path, o in objects})
    category_ids = {name: i for i, name in enumerate(classes, start=1)}

    image_names = _image_names(root / "JPEGImages")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (path, tree) in enumerate(trees.items(), start=1):
        images.append({"id": image_id} | _image(path, tree, image_names))
        for number, instance in enumerate(tree.findall("object"), start=1):
            where = f"{path}: object {number}"
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image_id}
                | _annotation(where, instance, category_ids, keep_difficult, first_pixel)
            )
    _check_images(root / "JPEGImages", files, images)
    categories = [{"id": i, "name": name} for i, name in enumerate(classes, start=1)]
    write_coco(out, {"images": images, "annotations": annotations, "categories": categories})
    return tuple(classes)


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


def _image_names(folder: Path) -> dict[str, str]:
    """Name of each image file in ``folder`` by its name without suffix."""
    if not folder.is_dir():
        raise UserError(folder, "is not a folder", "put the images there")
    return {
        path.stem: path.name
        for path in sorted(folder.iterdir(), reverse=True)
        if path.suffix.lower() in IMAGE_SUFFIXES
    }


def _image(path: Path, tree: Element, names: dict[str, str]) -> dict[str, Any]:
    width = _number(tree, "size/width", path)
    height = _number(tree, "size/height", path)
    if path.stem not in names:
        problem = f"JPEGImages has no image '{path.stem}'"
        raise UserError(path, problem, "add the image or remove its id from the list")
    return {"file_name": names[path.stem], "width": int(width), "height": int(height)}


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
    difficult = (
        instance.find("difficult") is not None and _number(instance, "difficult", where) != 0
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


def _check_images(folder: Path, files: list[Path], images: list[dict[str, Any]]) -> None:
    """Refuse images that are damaged or not of the size that their XML file says."""
    problems = image_problems(
        [(folder / image["file_name"], image["width"], image["height"]) for image in images]
    )
    errors = tuple(UserError(files[i], *problem) for i, problem in problems.items())
    if errors:
        first = errors[0]
        raise UserError(first.where, first.problem, first.remedy, errors)
