"""Argoverse-HD annotations, converted to a COCO instances file.

Their images have no ``file_name``: each lies in the folder of its sequence, which stands in a list
of its own (Li, Wang, Ramanan, Towards Streaming Perception, ECCV 2020).
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from mtpd.data.instances import write_coco
from mtpd.errors import UserError
from mtpd.files import read_json

REMEDY = "give the annotations of Argoverse-HD as they were published"
IMAGE_KEYS = {"sid": int, "fid": int, "name": str}


def convert_argoverse(annotations: Path, out: Path, *, whole_sequences: bool) -> None:
    """Convert one split; boxes and images are judged afterwards, as for every source.

    Images keep ``sid`` and ``fid``, the number of their sequence and of their frame in it, by
    which :mod:`mtpd.evaluation.streaming` plays them.

    Args:
        annotations: Argoverse-HD's own JSON.
        out: Instances JSON to write. File names are relative to the folder of all sequences,
            ``Argoverse-1.1/tracking``.
        whole_sequences: Refuse a sequence with a gap; streaming accuracy counts every frame.

    Raises:
        UserError: The file is not in Argoverse-HD's format, or a sequence has a gap.
    """
    raw = read_json(annotations, REMEDY)
    if not isinstance(raw, dict):
        raise UserError(annotations, "is not a JSON object", REMEDY)
    folders, sequences = _texts(annotations, raw, "seq_dirs"), _texts(annotations, raw, "sequences")
    if len(folders) != len(sequences):
        problem = f"has {len(folders)} entries, 'sequences' has {len(sequences)}"
        raise UserError(f"{annotations}: seq_dirs", problem, REMEDY)
    if not isinstance(raw.get("images"), list):
        raise UserError(f"{annotations}: images", "is missing or not a list", REMEDY)
    images = [
        _image(f"{annotations}: images[{i}]", x, folders) for i, x in enumerate(raw["images"])
    ]
    _check_frames(annotations, images, sequences, whole_sequences)
    write_coco(out, raw | {"images": images})


def _texts(path: Path, raw: dict[str, Any], key: str) -> list[str]:
    values = raw.get(key)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UserError(f"{path}: {key}", "is missing or not a list of texts", REMEDY)
    return values


def _image(where: str, image: object, folders: list[str]) -> dict[str, Any]:
    """The image with ``file_name`` in place of ``name``."""
    if not isinstance(image, dict):
        raise UserError(where, "is not an object", REMEDY)
    for key, kind in IMAGE_KEYS.items():
        if type(image.get(key)) is not kind:
            problem = f"'{key}' is {image[key]!r:.40}" if key in image else f"'{key}' is missing"
            raise UserError(where, problem, REMEDY)
    if not 0 <= image["sid"] < len(folders):
        problem = f"'sid' is {image['sid']}, but there are {len(folders)} sequences"
        raise UserError(where, problem, REMEDY)
    rest = {key: value for key, value in image.items() if key != "name"}
    return rest | {"file_name": f"{folders[image['sid']]}/{image['name']}"}


def _check_frames(
    path: Path, images: list[dict[str, Any]], sequences: list[str], whole: bool
) -> None:
    numbers = defaultdict(list)
    for image in images:
        numbers[image["sid"]].append(image["fid"])
    for sid, found in numbers.items():
        where = f"{path}: sequence {sequences[sid]}"
        found.sort()
        for before, after in pairwise(found):
            if after == before:
                raise UserError(where, f"has frame {after} twice", "give every frame once")
            if whole and after != before + 1:
                raise UserError(
                    where,
                    f"has no frame between {before} and {after}",
                    "give every frame: streaming accuracy is measured on whole sequences",
                )
