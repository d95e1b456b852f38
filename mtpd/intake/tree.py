"""The files of a folder, by kind, read once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath

from mtpd.data.lists import IMAGE_SUFFIXES
from mtpd.errors import UserError
from mtpd.intake.found import POOL, Parts

ROLES = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev", "minival"),
    "test": ("test", "testing", "tst"),
}
"""Words of file and folder names that say which split they are."""


@dataclass
class Tree:
    """What lies below a folder; hidden files and folders are left out.

    Attributes:
        root: The folder.
        images: Folder → its image files' names.
        others: Suffix in small letters, such as ``.json`` → files.
    """

    root: Path
    images: dict[Path, list[str]] = field(default_factory=dict)
    others: dict[str, list[Path]] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path) -> Tree:
        """Walk through ``root``; a link to a folder is followed once.

        Raises:
            UserError: It is no folder, or cannot be read.
        """
        if not root.is_dir():
            kind = "is not a folder" if root.exists() else "does not exist"
            raise UserError(root, kind, "give the folder that holds images and annotations")
        tree = cls(root)
        seen: set[str] = set()
        for place, folders, files in os.walk(root, onerror=_refuse, followlinks=True):
            seen.add(os.path.realpath(place))
            folders[:] = sorted(
                name
                for name in folders
                if not name.startswith((".", "__MACOSX"))
                and os.path.realpath(Path(place, name)) not in seen
            )
            tree._add(Path(place), sorted(name for name in files if not name.startswith(".")))
        return tree

    def _add(self, folder: Path, names: list[str]) -> None:
        for name in names:
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  of many files
            if suffix in IMAGE_SUFFIXES:
                self.images.setdefault(folder, []).append(name)
            else:
                self.others.setdefault(suffix, []).append(folder / name)

    @property
    def n_images(self) -> int:
        """Image files in all folders."""
        return sum(map(len, self.images.values()))

    def files(self, *suffixes: str) -> list[Path]:
        """Files that end in one of ``suffixes``, in the order of their folders."""
        return [path for suffix in suffixes for path in self.others.get(suffix, ())]


def role_of(path: PurePath) -> str | None:
    """The split that a file's name, or else a folder around it, speaks of; ``path`` is relative."""
    for part in (path.stem, *reversed(path.parts[:-1])):
        words = set(re.findall("[a-z]+", part.lower()))
        roles = [role for role, names in ROLES.items() if words.intersection(names)]
        if roles:
            return roles[0] if len(roles) == 1 else None
    return None


def in_folders(images: Iterable[str]) -> Parts:
    """Images by the split that their folders speak of; all are free where they speak of no train.

    Args:
        images: Names relative to the folder of the data set.
    """
    found: dict[str, list[str]] = {}
    for image in images:
        role = role_of(PurePosixPath(image).parent / "x") or POOL
        found.setdefault(role, []).append(image)
    if POOL in found or "train" not in found:
        return {POOL: tuple(image for names in found.values() for image in names)}
    return {role: tuple(names) for role, names in found.items()}


def common_folder(folders: Iterable[Path]) -> Path:
    """The innermost folder that holds all of ``folders``."""
    return Path(os.path.commonpath(list(folders)))


def _refuse(error: OSError) -> None:
    raise UserError(
        error.filename, f"cannot be read ({error.strerror})", "ask its owner for leave to read it"
    )
