"""Lists of images, one a line, and the folders of lists that divide a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mtpd.data.names import there_instead
from mtpd.errors import UserError
from mtpd.files import read_text
from mtpd.settings.data import OwnData
from mtpd.settings.runtime import workflow_settings

SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
REMEDY = "give the name of one image a line"


def read_list(path: Path) -> list[str]:
    """The lines of a list, without blank ones; Windows' separators are made the usual ones.

    Raises:
        UserError: The list is missing, empty, no UTF-8, or has a line twice.
    """
    if not path.is_file():
        raise UserError(path, f"does not exist{there_instead(path)}", REMEDY)
    lines = [line.strip() for line in read_text(path, REMEDY).splitlines()]
    names = [line.replace("\\", "/") for line in lines if line]
    if not names:
        raise UserError(path, "is empty", REMEDY)
    check_once(path, names)
    return names


def check_once(path: Path, names: Sequence[str]) -> None:
    """Refuse a list that has a name twice.

    Raises:
        UserError: It has.
    """
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(path, f"lists '{name}' twice", "list every image once")


def split_folder(data: OwnData) -> Path | None:
    """The folder of ``data.split``; the checkout's if only that has it. None: not given."""
    return None if data.split is None else workflow_settings().found(data.split)


def split_list(data: OwnData, split: str) -> Path | None:
    """The list of ``split`` in the folder of ``data.split``; None: there is no such folder."""
    folder = split_folder(data)
    return None if folder is None else folder / f"{split}.txt"


def listed_images(data: OwnData, split: str) -> list[str]:
    """Names of the images that ``data.split`` gives to ``split``.

    Raises:
        UserError: The list is wrong, or shares an image with one before it.
    """
    folder = split_folder(data)
    assert folder is not None
    if not folder.is_dir():
        problem = f"there is no folder '{folder}'"
        raise UserError("data.split", problem, "give the folder of train.txt and val.txt")
    names = read_list(folder / f"{split}.txt")
    for other in SPLITS[: SPLITS.index(split)]:
        path = folder / f"{other}.txt"
        both = sorted(set(names) & set(read_list(path))) if path.is_file() else []
        if both:
            others = f" (and {len(both) - 1} more)" * (len(both) > 1)
            problem = f"lists '{both[0]}'{others}, as {path} does"
            raise UserError(folder / f"{split}.txt", problem, "leave it in one of them")
    return names


def unlisted(data: OwnData, images: Sequence[str]) -> list[str]:
    """Those of ``images`` that no list of ``data.split`` has.

    Raises:
        UserError: A list is wrong.
    """
    folder = split_folder(data)
    assert folder is not None
    paths = [folder / f"{split}.txt" for split in SPLITS]
    listed = {name for path in paths if path.is_file() for name in read_list(path)}
    return [name for name in images if name not in listed]
