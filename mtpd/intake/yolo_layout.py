"""YOLO's labels in a folder: with a data.yaml, or with a list of class names alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from mtpd.data.yolo_files import label_file, listed_files, read_yolo_file
from mtpd.errors import UserError
from mtpd.intake.found import POOL, Found
from mtpd.intake.tree import Tree, in_folders, role_of
from mtpd.settings.data import YoloData

CLASS_LISTS = ("classes.txt", "obj.names", "_darknet.labels")
"""Files of class names: LabelImg's and Label Studio's, CVAT's, Roboflow's for Darknet."""
LABEL = re.compile(rb"\s*\d+(?:\s+-?\d*\.?\d+(?:[eE][-+]?\d+)?){4,}\s*(?:\r?\n|$)")
PEEK = 512


def yolo_files(tree: Tree) -> list[Path]:
    """Files that name the classes of YOLO's labels: every data.yaml, or else lists of classes."""
    described = [path for path in tree.files(".yaml", ".yml") if _is_described(path)]
    if described:
        return described
    lists = [path for path in tree.files(".txt", ".names", ".labels") if path.name in CLASS_LISTS]
    return lists if lists and has_labels(tree) else []


def has_labels(tree: Tree) -> bool:
    """Whether a text file begins as YOLO's labels do; of a folder a few are looked at."""
    folders: dict[Path, int] = {}
    for path in tree.files(".txt"):
        folders[path.parent] = folders.get(path.parent, 0) + 1
        if folders[path.parent] <= 10 and path.name not in CLASS_LISTS:
            with path.open("rb") as file:
                if LABEL.match(file.read(PEEK)):
                    return True
    return False


def recognise_yolo(tree: Tree, files: Sequence[Path]) -> Found:
    """Settings for labels whose classes one of ``files`` names.

    Raises:
        UserError: Two files name classes, or what they say is wrong.
    """
    contents = {path.read_bytes() for path in files}
    if len(contents) > 1:
        problem = f"names classes, and so does {files[1]}"
        raise UserError(files[0], problem, "leave one of them in the folder")
    keys = {"source": "yolo", "root": str(tree.root)}
    keys["file"] = files[0].relative_to(tree.root).as_posix()
    data = YoloData.model_validate(keys)
    yolo = read_yolo_file(data)
    if keys["file"] == "data.yaml":
        del keys["file"]
    if not yolo.splits:
        images, remarks = _annotated(tree)
        return Found("YOLO, without a data.yaml", keys, in_folders(images), remarks)
    named = {role: key for key in yolo.splits if (role := role_of(PurePosixPath(key)))}
    given = {role: listed_files(_asked(data, key), yolo, role).names for role, key in named.items()}
    if {"train", "val"} <= set(named):
        if set(given["train"]) != set(given["val"]):
            # A test split that is named and empty, as Roboflow leaves it, would stop the data step.
            own = {role: key for role, key in named.items() if key != role}
            return Found("YOLO", {**keys, **own, **({} if "test" in named else {"test": None})})
        remark = "train and val name the same images: they are split"
        rest = {role: names for role, names in given.items() if role == "test"}
        return Found("YOLO", keys, {POOL: given["train"], **rest}, (remark,))
    if "train" not in named:
        every = tuple(dict.fromkeys(name for names in given.values() for name in names))
        return Found("YOLO", keys, {POOL: every})
    return Found("YOLO", keys, given)


def _asked(data: YoloData, key: str) -> YoloData:
    """The same with ``key`` for every split."""
    return data.model_copy(update={"train": key, "val": key, "test": key})


def _annotated(tree: Tree) -> tuple[list[str], tuple[str, ...]]:
    """Images that have a label file, and what is to be said of the others."""
    every = [
        (folder / name).relative_to(tree.root).as_posix()
        for folder, names in sorted(tree.images.items())
        for name in names
    ]
    found = [image for image in every if label_file(tree.root, image) is not None]
    bare = sorted(set(every) - set(found))
    if not bare:
        return found, ()
    return found, (f"{len(bare)} images have no label file (first {bare[0]}): left out",)


def _is_described(path: Path) -> bool:
    """Whether a YAML file names classes, and images of a split; what is no YAML is none."""
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return path.name in ("data.yaml", "data.yml")
    return isinstance(raw, dict) and "names" in raw and bool({"train", "val", "path"} & set(raw))
