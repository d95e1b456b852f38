"""COCO instances files in a folder, whoever exported them, and where their images lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from mtpd.errors import UserError
from mtpd.files import read_json
from mtpd.intake.found import POOL, Found
from mtpd.intake.tree import ROLES, Tree, common_folder, role_of

KEYS = ("images", "annotations", "categories")
SIGNS = tuple(f'"{key}"'.encode() for key in (*KEYS, "info", "licenses"))
"""An instances file has one of these among its first bytes."""
PEEK = 4096
Coco = dict[str, Any]
SAMPLE = 16
"""Images of a file that are looked for, evenly spread."""


def coco_files(tree: Tree) -> dict[Path, Coco]:
    """Every instances file of the folder, with its content.

    Raises:
        UserError: A file that begins like one is not JSON.
    """
    found = {}
    for path in tree.files(".json"):
        if _may_be_coco(path):
            content = read_json(path, "export it again")
            if isinstance(content, dict) and all(isinstance(content.get(k), list) for k in KEYS):
                found[path] = content
    usual = {path: coco for path, coco in found.items() if path.name.startswith("instances")}
    # Beside them COCO itself has captions and keypoints of the same images.
    return usual or found


def recognise_coco(tree: Tree, files: dict[Path, Coco]) -> Found:
    """Settings for instances files: one for each split, or files that are put together.

    Raises:
        UserError: Two files say that they are the same split, or images are not found.
    """
    by_role, free = _roles(tree, list(files))
    exporter = _exporter(list(files))
    data: dict[str, Any] = {"source": "coco", "root": str(tree.root)}
    if {"train", "val"} <= set(by_role):
        splits = {role: _entry(tree, by_role[role], files) for role in ROLES if role in by_role}
        names = ", ".join(_text(tree, path) for path in free)
        remarks = (f"{names}: left out, as train and val are there",) if free else ()
        return Found(f"{exporter}, a file for each split", {**data, **splits}, remarks=remarks)
    if by_role and free:
        problem = f"is of one split, and {free[0]} beside it of none"
        raise UserError(next(iter(by_role.values())), problem, "name one of them as FOLDER")
    entries = {path: _entry(tree, path, files) for path in files}
    data |= {key: [entry[key] for entry in entries.values()] for key in ("annotations", "images")}
    if len(files) == 1:
        [entry] = entries.values()
        return Found(f"{exporter}, one file", {**data, **entry}, {POOL: _names(*files.values())})
    named = {
        path: tuple(f"{entry['images']}/{name}".removeprefix("./") for name in _names(files[path]))
        for path, entry in entries.items()
    }
    parts = {role: named[path] for role, path in by_role.items()}
    if "train" not in parts:
        parts = {POOL: tuple(dict.fromkeys(name for names in named.values() for name in names))}
    return Found(f"{exporter}, {len(files)} files", data, parts)


def _may_be_coco(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(PEEK)
    return any(sign in start for sign in SIGNS)


def _roles(tree: Tree, files: Sequence[Path]) -> tuple[dict[str, Path], list[Path]]:
    """The file of each split, and files whose names speak of none.

    Raises:
        UserError: There are two of one split.
    """
    found: dict[str, Path] = {}
    free = []
    for path in files:
        role = role_of(path.relative_to(tree.root))
        if role is None:
            free.append(path)
        elif role in found:
            problem = f"is called {role}, and so is {found[role]}"
            raise UserError(path, problem, f"leave one file for {role} in the folder")
        else:
            found[role] = path
    return found, free


def _entry(tree: Tree, path: Path, files: dict[Path, Coco]) -> dict[str, str]:
    """Settings of one file: where it lies, and its images."""
    images = _images_folder(tree, path, files[path])
    return {"annotations": _text(tree, path), "images": _text(tree, images)}


def _images_folder(tree: Tree, path: Path, coco: Coco) -> Path:
    """The folder that the file names of an instances file are relative to.

    Raises:
        UserError: There is none.
    """
    names = [item.get("file_name") for item in coco["images"] if isinstance(item, dict)]
    given = [name for name in names if isinstance(name, str) and name]
    if not given:
        raise UserError(f"{path}: images", "name no files", "give a COCO instances JSON")
    sample = [_posix(name) for name in given[:: max(1, len(given) // SAMPLE)][:SAMPLE]]
    near = (path.parent, path.parent / "images", path.parent.parent, path.parent.parent / "images")
    inside = [folder for folder in near if folder == tree.root or tree.root in folder.parents]
    found = [folder for folder in inside if (folder / sample[0]).is_file()]
    found = found or _elsewhere(tree, path, sample[0])
    if not found:
        raise UserError(
            f"{path}: images",
            f"'{given[0]}' is in none of the {len(tree.images)} folders of images in {tree.root}",
            "put the images there, or give the folder that holds both",
        )
    # Where some are missing in all of them, the check of the data lists which.
    whole = (folder for folder in found if all((folder / name).is_file() for name in sample))
    return next(whole, found[0])


def _elsewhere(tree: Tree, path: Path, name: str) -> list[Path]:
    """Folders that hold the image called ``name``, those that seem to belong to the file first.

    Raises:
        UserError: Two of them seem so equally.
    """
    *parents, last = PurePosixPath(name).parts
    found = []
    for folder, files in tree.images.items():
        above = folder.parts[len(folder.parts) - len(parents) :]
        if last in files and list(above) == parents:
            found.append(folder.parents[len(parents) - 1] if parents else folder)
    own = role_of(path.relative_to(tree.root))

    def rank(folder: Path) -> tuple[bool, bool, int]:
        is_other = role_of(folder.relative_to(tree.root) / "x") != own
        shared = len(common_folder((folder, path.parent)).parts)
        return is_other, path.stem not in folder.parts, -shared

    found.sort(key=rank)
    if len(found) > 1 and rank(found[0]) == rank(found[1]):
        problem = f"'{name}' is in {found[0]} and in {found[1]}"
        raise UserError(f"{path}: images", problem, "give a folder that holds one of them")
    return found


def _posix(name: str) -> str:
    """A file name with ordinary separators: some tools write Windows' own."""
    return PureWindowsPath(name).as_posix() if "\\" in name else name


def _names(coco: Coco) -> tuple[str, ...]:
    return tuple(sorted(str(image["file_name"]) for image in coco["images"]))


def _exporter(files: Sequence[Path]) -> str:
    names = {path.name for path in files}
    if names == {"_annotations.coco.json"}:
        return "COCO as Roboflow exports it"
    return "COCO as CVAT exports it" if names == {"instances_default.json"} else "COCO"


def _text(tree: Tree, path: Path) -> str:
    return path.relative_to(tree.root).as_posix() or "."
