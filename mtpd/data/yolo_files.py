"""Where the images and labels of a YOLO data set lie."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtpd.data.lists import (
    IMAGE_SUFFIXES,
    check_once,
    listed_images,
    read_list,
    split_folder,
    unlisted,
)
from mtpd.data.names import there_instead
from mtpd.errors import UserError
from mtpd.files import read_text
from mtpd.settings.data import SPLIT_IT, YoloData
from mtpd.settings.reading import read_mapping
from mtpd.settings.values import SettingError, as_text, in_home

KEYS = "write names, train and val, as YOLO has them"


@dataclass(frozen=True)
class YoloFile:
    """What a ``data.yaml`` says.

    Attributes:
        path: Of the file.
        folder: What its paths are relative to.
        names: Classes in the order of their numbers.
        splits: By key, the entries that name images.
        remarks: What was taken one way where it could be a mistake.
    """

    path: Path
    folder: Path
    names: tuple[str, ...]
    splits: dict[str, tuple[str, ...]]
    remarks: tuple[UserError, ...] = ()


@dataclass(frozen=True)
class ListedFiles:
    """Images of a split, relative to the root, and what must be said of them."""

    names: tuple[str, ...]
    remarks: tuple[UserError, ...] = ()


def read_yolo_file(data: YoloData) -> YoloFile:
    """Read the file of names and splits: a ``data.yaml``, or a text file of names alone.

    Raises:
        UserError: It is missing or wrong.
    """
    path = data.root / data.file
    if not path.is_file():
        remedy = "set data.file to the YAML that has names, or to a list of them as classes.txt"
        raise UserError(path, f"does not exist{there_instead(path)}", remedy)
    if path.suffix not in (".yaml", ".yml"):
        lines = read_text(path, "give a list of class names").splitlines()
        names = _checked_names(path, [line.strip() for line in lines if line.strip()])
        return YoloFile(path, data.root, names, {})
    raw = read_mapping(path, KEYS, KEYS)
    names = _names(path, raw)
    count = raw.get("nc")
    if count is not None and count != len(names):
        problem = f"is {count}, and names has {len(names)} classes"
        raise UserError(f"{path}: nc", problem, "correct one of them")
    folder, remarks = _folder(path, raw)
    splits = {
        key: _entries(f"{path}: {key}", raw[key])
        for key in raw
        if key not in ("names", "nc", "path") and _names_files(raw[key])
    }
    return YoloFile(path, folder, names, splits, remarks)


def has_split(data: YoloData, split: str) -> bool:
    """Whether the file has a key or the root a file or folder for ``split``; True: it is broken."""
    try:
        yolo, given = read_yolo_file(data), getattr(data, split)
    except UserError:  # the data step says it
        return True
    return given in yolo.splits or (data.root / given).exists() or glob.has_magic(given)


def listed_files(data: YoloData, yolo: YoloFile, split: str) -> ListedFiles:
    """The images of ``split``, in order.

    Raises:
        UserError: There are none, or what names them is not there.
    """
    if data.split is not None:
        return _of_lists(data, split)
    given = getattr(data, split)
    where = f"{yolo.path}: {given}" if given in yolo.splits else f"data.{split}"
    entries, folder = yolo.splits.get(given), yolo.folder
    if entries is None:
        entries, folder = (given,), data.root
        if not (data.root / given).exists() and not glob.has_magic(given):
            keys = ", ".join(yolo.splits) or "none"
            problem = f"'{given}' is neither a key of {yolo.path} ({keys}) nor a file in data.root"
            remedy = f"name one; or give data.split: {SPLIT_IT}"
            raise UserError(where, problem, remedy if split != "test" else "name one, or null")
    names = [
        name
        for entry in entries
        for name in _images_of(where, data.root, _found(where, entry, folder, data.root))
    ]
    check_once(yolo.path, names)
    return ListedFiles(tuple(names))


def label_file(root: Path, name: str) -> Path | None:
    """The label file of an image; None: it has none.

    Args:
        root: Folder of the data set.
        name: Of the image, relative to ``root``.

    Raises:
        UserError: There are two that differ.
    """
    beside = root / Path(name).with_suffix(".txt")
    parts = [root.absolute().name, *beside.relative_to(root).parts]
    places = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if not places:
        return beside if beside.is_file() else None
    parts[places[-1]] = "labels"
    parallel = root.absolute().parent.joinpath(*parts)
    if places[-1] > 0:
        parallel = root.joinpath(*parts[1:])
    there = [path for path in (parallel, beside) if path.is_file()]
    if len(there) == 2 and there[0].read_bytes() != there[1].read_bytes():
        raise UserError(there[0], f"and {there[1]} differ", "leave the right one")
    return there[0] if there else None


def _of_lists(data: YoloData, split: str) -> ListedFiles:
    names, where = listed_images(data, split), split_folder(data)
    for name in names:
        path = data.root / name
        if not path.is_file():
            problem = f"lists '{name}', but {path} does not exist{there_instead(path)}"
            raise UserError(f"{where}/{split}.txt", problem, "correct the line, or take it out")
    remarks: tuple[UserError, ...] = ()
    if split == "train":
        others = unlisted(data, list(_below(data.root, data.root)))
        remarks = tuple(
            UserError(str(where), f"no list has {len(others)} images (first {others[0]})", "unused")
            for _ in others[:1]
        )
    return ListedFiles(tuple(names), remarks)


def _names(path: Path, raw: dict[str, Any]) -> tuple[str, ...]:
    """Class names, from a list or a mapping of numbers to names."""
    where, given = f"{path}: names", raw.get("names")
    if isinstance(given, dict):
        numbers = {str(i) for i in range(len(given))}
        if set(given) != numbers:
            problem = f"has the numbers {', '.join(given)}"
            raise UserError(where, problem, f"number the classes from 0 to {len(given) - 1}")
        given = [given[str(i)] for i in range(len(given))]
    if not isinstance(given, list):
        problem = "key is missing" if given is None else "is neither a list nor a mapping"
        raise UserError(where, problem, "list the class names in the order of their numbers")
    return _checked_names(where, [_text(f"{where}.{i}", name) for i, name in enumerate(given)])


def _checked_names(where: object, names: list[str]) -> tuple[str, ...]:
    if not names:
        raise UserError(where, "is empty", "list the class names in the order of their numbers")
    for name in names:
        if names.count(name) > 1:
            raise UserError(where, f"has '{name}' twice", "give every class its own name")
    return tuple(names)


def _text(where: str, value: Any) -> str:
    try:
        text = as_text(value)
    except SettingError as error:
        raise UserError(where, error.problem, error.remedy) from error
    if not isinstance(text, str) or not text.strip():
        raise UserError(where, "is no text", "give a text")
    return text


def _names_files(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
    )


def _entries(where: str, value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(_text(where, item).replace("\\", "/") for item in items)


def _folder(path: Path, raw: dict[str, Any]) -> tuple[Path, tuple[UserError, ...]]:
    """What the paths of the file are relative to: its ``path``, or the folder it lies in."""
    given = raw.get("path")
    if given in (None, ""):
        return path.parent, ()
    text = _text(f"{path}: path", given).replace("\\", "/")
    folder = path.parent / str(in_home(text))
    if folder.is_dir():
        return folder, ()
    problem = f"there is no folder '{text}'"
    remark = UserError(f"{path}: path", problem, "the folder of the file is taken in its place")
    return path.parent, (remark,)


def _found(where: str, entry: str, folder: Path, root: Path) -> list[Path]:
    """Folders and files that an entry names. Roboflow writes ``../`` before what lies beside."""
    written = str(in_home(entry))
    plain = written
    while plain.startswith("../"):
        plain = plain.removeprefix("../")
    candidates = [base / text for text in (written, plain) for base in (folder, root)]
    for candidate in candidates:
        if candidate.exists():
            return [candidate]
        if glob.has_magic(str(candidate)):
            start = Path(candidate.anchor)
            matches = sorted(start.glob(str(candidate.relative_to(start))))
            if matches:
                return matches
    path = candidates[0]
    problem = f"names '{entry}', but {path} does not exist{there_instead(path)}"
    raise UserError(where, problem, "give a folder of images, a list or a glob")


def _images_of(where: str, root: Path, found: list[Path]) -> Iterator[str]:
    """Names of images relative to ``root``, in files, folders and lists."""
    names = []
    for path in found:
        if path.is_dir():
            names += list(_below(path, root))
        elif path.suffix == ".txt":
            names += [_listed(path, line, root) for line in read_list(path)]
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            names.append(_relative(path, root))
    if not names:
        raise UserError(where, f"{found[0]} has no images", "give a folder of images or a list")
    yield from names


def _below(folder: Path, root: Path) -> Iterator[str]:
    """Images below ``folder``, without hidden files, as macOS leaves beside them."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
            yield _relative(path, root)


def _listed(path: Path, line: str, root: Path) -> str:
    """An image that a list names, relative to the list, the root or the folder around it."""
    text = str(in_home(line))
    for base in (path.parent, root, root.parent):
        if (base / text).is_file():
            return _relative(base / text, root)
    problem = f"lists '{line}', but {path.parent / text} does not exist"
    raise UserError(
        path, problem + there_instead(path.parent / text), "correct the line, or take it out"
    )


def _relative(path: Path, root: Path) -> str:
    """``path`` relative to ``root``, also where it lies outside."""
    return Path(os.path.relpath(path, root)).as_posix()
