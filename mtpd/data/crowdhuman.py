"""CrowdHuman's annotations (Shao et al., 2018), converted to a COCO instances file.

An ``.odgt`` file has one JSON object a line: an image's ``ID``, which is its file's name without
``.jpg``, and its ``gtboxes``, each with a ``tag`` (``person``, or ``mask`` for crowds, reflections
and the like), a full box ``fbox``, a visible box and a head box as x, y, width, height in pixels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtpd.data.coco import write_coco
from mtpd.data.images import Size, image_sizes
from mtpd.errors import UserError, raise_first

PERSON, MASK = "person", "mask"

FORMAT = "give an annotation file as CrowdHuman publishes it"


def convert_crowdhuman(annotations: Path, root: Path, images: Sequence[Path], out: Path) -> None:
    """Convert one split. Its images stay where they are.

    Boxes are not judged here: :func:`mtpd.data.coco.check_coco` does that for every source.
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
        UserError: The file, lines or images are missing or wrong; ``parts`` has each of them.
    """
    records = _records(annotations)
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


def _records(path: Path) -> list[tuple[str, list[dict[str, Any]]]]:
    """Name and boxes of every image, in the order of the lines."""
    records: dict[str, list[dict[str, Any]]] = {}
    problems: list[UserError] = []
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                where = f"{path}: line {number}"
                try:
                    name, boxes = _record(where, line)
                except UserError as error:
                    problems.append(error)
                    continue
                if name in records:
                    problem = f"'ID' is '{name}' as in a line before"
                    problems.append(UserError(where, problem, "give every image one line"))
                records[name] = boxes
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", FORMAT) from error
    except UnicodeDecodeError as error:
        raise UserError(path, "is not UTF-8 text", FORMAT) from error
    raise_first(problems)
    if not records:
        raise UserError(path, "is empty", FORMAT)
    return list(records.items())


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
    raise_first(
        [
            UserError(
                annotations,
                f"names {name}.jpg, which is in none of data.images",
                "unpack the images of this split, or add their folder to data.images",
            )
            for name in names
            if name not in found
        ]
    )
    return [found[name] for name in names]


def _sizes(annotations: Path, files: list[Path]) -> list[Size]:
    """Width and height of every image."""
    sizes = image_sizes(files)
    raise_first(
        [
            UserError(error.where, f"{error.problem}, and is named by {annotations}", error.remedy)
            for error in sizes
            if isinstance(error, UserError)
        ]
    )
    return [size for size in sizes if not isinstance(size, UserError)]
