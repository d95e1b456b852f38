"""CrowdHuman's annotations (Shao et al., 2018), converted to a COCO instances file.

An ``.odgt`` file has one JSON object a line: an image's ``ID``, which is its file's name without
``.jpg``, and its ``gtboxes``, each with a ``tag`` (``person``, or ``mask`` for crowds, reflections
and the like), a full box ``fbox``, a visible box and a head box as x, y, width, height in pixels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mtpd.data.coco import CocoSummary, check_coco, write_coco
from mtpd.data.images import Size, image_sizes
from mtpd.errors import UserError

IMAGES: Mapping[str, int] = {"train": 15000, "val": 4370, "test": 5000}
"""Number of images of the published splits."""

PERSON, MASK = "person", "mask"

MISSING = "unpack the images of this split, or add their folder to data.images"
FORMAT = "give an annotation file as CrowdHuman publishes it"


def check_crowdhuman(
    annotations: Path,
    root: Path,
    images: Sequence[Path],
    out: Path,
    *,
    bad_boxes: Literal["error", "drop"] = "drop",
    cleaned: Path | None = None,
) -> CocoSummary:
    """Convert one split and check the result and its images; nothing is left out uncounted.

    A full box may reach beyond the image as far as it likes, as a person does, but not lie wholly
    outside. See :func:`convert_crowdhuman` and :func:`mtpd.data.coco.check_coco`.

    Raises:
        UserError: The file, a box or an image cannot be used as it is.
    """
    convert_crowdhuman(annotations, root, images, out)
    return check_coco(out, root, bad_boxes=bad_boxes, cleaned=cleaned, border=math.inf)


def convert_crowdhuman(annotations: Path, root: Path, images: Sequence[Path], out: Path) -> None:
    """Convert one split. Its images stay where they are.

    Full boxes of persons are written as annotated, beyond the image's border too. A box with the
    tag ``mask``, or whose ``extra`` says ``ignore``, becomes a crowd: neither learnt nor counted
    as missed. (``ignore`` in ``head_attr`` is about the head alone and changes nothing here.)
    Sizes of images are read from the images.

    Args:
        annotations: An ``.odgt`` file.
        root: Folder of the data set, which file names in ``out`` are relative to.
        images: Folders relative to ``root``; an image is taken from the first that has it.
        out: Instances JSON to write. Image ids count from 1 in the order of the lines.

    Raises:
        UserError: The file, a line or an image is missing or wrong.
    """
    records = list(_records(annotations))
    if not records:
        raise UserError(annotations, "is empty", FORMAT)
    files = _image_files(annotations, [name for name, _ in records], root, images)
    sizes = _sizes(annotations, [root / file for file in files])
    write_coco(
        out,
        {
            "images": [
                {"id": i, "file_name": file.as_posix(), "width": width, "height": height}
                for i, (file, (width, height)) in enumerate(zip(files, sizes, strict=True), start=1)
            ],
            "annotations": [
                {"id": i, "category_id": 1} | box
                for i, box in enumerate(
                    (
                        {"image_id": image_id} | box
                        for image_id, (_, boxes) in enumerate(records, start=1)
                        for box in boxes
                    ),
                    start=1,
                )
            ],
            "categories": [{"id": 1, "name": PERSON}],
        },
    )


def _records(path: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Name and boxes of every image, in the order of the lines."""
    seen: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                where = f"{path}: line {number}"
                name, boxes = _record(where, line)
                if name in seen:
                    problem = f"has the ID '{name}' of line {seen[name]}"
                    raise UserError(where, problem, "give every image one line")
                seen[name] = number
                yield name, boxes
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", FORMAT) from error
    except UnicodeDecodeError as error:
        raise UserError(path, "is not UTF-8 text", FORMAT) from error


def _record(where: str, line: str) -> tuple[str, list[dict[str, Any]]]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        problem = f"is not JSON ({error.msg}, column {error.colno})"
        raise UserError(where, problem, "give one JSON object a line") from error
    name = _get(where, record, "ID", str)
    boxes = _get(where, record, "gtboxes", list)
    return name, [_box(f"{where}: gtboxes[{i}]", box) for i, box in enumerate(boxes)]


def _box(where: str, box: object) -> dict[str, Any]:
    tag = _get(where, box, "tag", str)
    if tag not in (PERSON, MASK):
        raise UserError(where, f"has the tag '{tag}'", f"CrowdHuman has '{PERSON}' and '{MASK}'")
    full = _get(where, box, "fbox", list)
    if len(full) != 4 or not all(type(v) in (int, float) and math.isfinite(v) for v in full):
        problem = f"'fbox' is {full!r:.60}"
        raise UserError(where, problem, "give x, y, width and height as numbers")
    extra = _get(where, box, "extra", dict, {})
    ignore = tag == MASK or _get(f"{where}: extra", extra, "ignore", int, 0) != 0
    area = max(full[2], 0) * max(full[3], 0)
    return {"bbox": full, "area": area, "iscrowd": int(ignore)}


def _get(where: str, item: object, key: str, kind: type, default: Any = None) -> Any:
    """Value of ``key``, which must be of type ``kind``, and there unless it has a default."""
    if not isinstance(item, dict):
        raise UserError(where, "is not a JSON object", f"give an object with '{key}'")
    value = item.get(key, default)
    if type(value) is not kind:
        problem = f"'{key}' is {value!r:.40}" if key in item else f"'{key}' is missing"
        raise UserError(where, problem, FORMAT)
    return value


def _image_files(
    annotations: Path, names: list[str], root: Path, folders: Sequence[Path]
) -> list[Path]:
    """File of every image relative to ``root``, from the first folder that has it."""
    found: dict[str, Path] = {}
    for folder in folders:
        if not (root / folder).is_dir():
            problem = f"is not a folder, and may hold images of {annotations}"
            raise UserError(root / folder, problem, "unpack the images there, or set data.images")
        for file in (root / folder).iterdir():
            if file.suffix == ".jpg":
                found.setdefault(file.stem, folder / file.name)
    missing = [name for name in names if name not in found]
    if missing:
        raise UserError(
            annotations,
            f"names {missing[0]}.jpg, which is in none of data.images"
            f" ({len(missing)} of {len(names)} images are missing)",
            MISSING,
            tuple(
                UserError(
                    annotations, f"names {name}.jpg, which is in none of data.images", MISSING
                )
                for name in missing
            ),
        )
    return [found[name] for name in names]


def _sizes(annotations: Path, files: list[Path]) -> list[Size]:
    """Width and height of every image."""
    sizes: list[Size] = []
    problems: list[UserError] = []
    for size in image_sizes(files):
        if isinstance(size, UserError):
            problems.append(size)
        else:
            sizes.append(size)
    if problems:
        first = problems[0]
        others = f" (and {len(problems) - 1} more images have problems)" * (len(problems) > 1)
        problem = f"its image {first.where} {first.problem}{others}"
        every = (
            UserError(p.where, f"{p.problem}, and is named by {annotations}", p.remedy)
            for p in problems
        )
        raise UserError(annotations, problem, first.remedy, tuple(every))
    return sizes
