"""Which XML files and images of a Pascal VOC folder belong to a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mtpd.data.lists import (
    IMAGE_SUFFIXES,
    check_once,
    listed_images,
    read_list,
    split_list,
    unlisted,
)
from mtpd.data.names import there_instead
from mtpd.errors import UserError
from mtpd.settings.data import SPLIT_IT, VocData

FLAGS = {"1": True, "0": True, "-1": False}
"""The second column of VOC's lists of one class: whether an image has such an object."""


@dataclass(frozen=True)
class Entry:
    """An image of a split.

    Attributes:
        xml: Its annotations.
        image: Name relative to the folder of images, perhaps without suffix.
    """

    xml: Path
    image: str


@dataclass(frozen=True)
class VocList:
    """Images of a split in the order of its list, and what must be said of them."""

    path: Path
    entries: tuple[Entry, ...]
    remarks: tuple[UserError, ...] = ()


def list_of(data: VocData, split: str) -> Path:
    """The list that names the images of ``split``, whether it is there or not."""
    own = data.root / data.lists / f"{getattr(data, split)}.txt"
    return split_list(data, split) or own


def read_voc_list(data: VocData, split: str) -> VocList:
    """The XML file of every image of ``split``.

    Raises:
        UserError: The list or one of the files is missing or wrong.
    """
    folder = data.root / data.annotations
    _check_folder(data, folder)
    if data.split is not None:
        return _of_lists(data, split, folder)
    path = list_of(data, split)
    if not path.is_file():
        remedy = f"name a list of {data.lists}, or give data.split; {SPLIT_IT}"
        remedy = "name one, or set data.test: null" if split == "test" else remedy
        raise UserError(path, f"does not exist{there_instead(path)}", remedy)
    ids, left_out = [], 0
    for line in read_list(path):
        image_id, is_used = _id(line, folder)
        ids.append(image_id)
        left_out += not is_used
        if not is_used:
            ids.pop()
    check_once(path, ids)
    if not ids:
        raise UserError(path, "has -1 beside every id", "list at least one image id")
    for image_id in ids:
        _check_there(path, image_id, folder / f"{image_id}.xml")
    remarks = []
    if left_out:
        problem = f"has -1 beside {left_out} of {left_out + len(ids)} ids"
        remarks.append(UserError(path, problem, "these images are left out"))
    entries = tuple(Entry(folder / f"{image_id}.xml", image_id) for image_id in ids)
    return VocList(path, entries, tuple(remarks))


class ImageNames:
    """Names of the image files of a folder and those below it.

    Args:
        folder: The folder.

    Raises:
        UserError: It is none.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            remedy = "put the images there, or set data.images"
            raise UserError(folder, "is not a folder", remedy)
        self._folder = folder
        self._known: dict[str, dict[str, list[str]]] = {}

    def find(self, entry: Entry, written: str) -> str:
        """Name of the image of ``entry``, relative to the folder.

        Args:
            entry: Of the list.
            written: The file name that the XML gives, which decides between images that differ in
                their suffix alone.

        Raises:
            UserError: There is none, or several.
        """
        if PurePosixPath(entry.image).suffix.lower() in IMAGE_SUFFIXES:
            path = self._folder / entry.image
            if path.is_file():
                return entry.image
        parent, _, stem = entry.image.rpartition("/")
        found = self._in(parent).get(stem, [])
        chosen = [name for name in found if name == PurePosixPath(written).name] or found
        if not chosen:
            remedy = "add the image or remove its id from the list"
            problem = f"{self._folder.name} has no image '{entry.image}'"
            raise UserError(entry.xml, problem + there_instead(self._folder / entry.image), remedy)
        if len(chosen) > 1:
            problem = f"may belong to {' or '.join(chosen)} of {self._folder / parent}"
            raise UserError(entry.xml, problem, "leave one, or name it in <filename>")
        return f"{parent}/{chosen[0]}" if parent else chosen[0]

    def every(self) -> list[str]:
        """Names of all images."""
        return [
            path.relative_to(self._folder).as_posix()
            for path in _images(sorted(self._folder.rglob("*")))
        ]

    def _in(self, parent: str) -> dict[str, list[str]]:
        """Names of the images of one folder by their name without suffix."""
        if parent not in self._known:
            names = defaultdict(list)
            folder = self._folder / parent
            for path in _images(sorted(folder.iterdir()) if folder.is_dir() else []):
                names[path.stem].append(path.name)
            self._known[parent] = names
        return self._known[parent]


def _images(paths: Iterable[Path]) -> Iterable[Path]:
    return (
        path
        for path in paths
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )


def _of_lists(data: VocData, split: str, folder: Path) -> VocList:
    """As :func:`read_voc_list`, by the lists of ``data.split``, which name image files."""
    names, path = listed_images(data, split), list_of(data, split)
    entries = []
    for name in names:
        xml = folder / PurePosixPath(name).with_suffix(".xml")
        _check_there(path, name, xml)
        entries.append(Entry(xml, name))
    remarks = []
    if split == "train":
        others = unlisted(data, ImageNames(data.root / data.images).every())
        if others:
            problem = f"no list has {len(others)} of the images (first {others[0]})"
            remarks.append(UserError(path.parent, problem, "they are left out"))
    return VocList(path, tuple(entries), tuple(remarks))


def _id(line: str, folder: Path) -> tuple[str, bool]:
    """The image id of a line, and whether its second column, if it has one, takes it."""
    words = line.rsplit(maxsplit=1)
    if len(words) == 2 and words[1] in FLAGS and not (folder / f"{line}.xml").is_file():
        return words[0], FLAGS[words[1]]
    return line, True


def _check_there(path: Path, name: str, xml: Path) -> None:
    if not xml.is_file():
        problem = f"lists '{name}', but {xml} does not exist{there_instead(xml)}"
        raise UserError(path, problem, "add the annotation or remove the id from the list")


def _check_folder(data: VocData, folder: Path) -> None:
    if folder.is_dir():
        return
    remedy = "say in data.annotations where the XML files lie"
    if any(data.root.glob("*.xml")):
        remedy = (
            f"XML files lie in {data.root} itself: set data.annotations to '.', and data.images to "
            f"'.' if the images lie there too; {SPLIT_IT}"
        )
    elif (data.root / "data.yaml").is_file():
        remedy = "it has a data.yaml: set data.source to yolo"
    raise UserError(folder, "is not a folder", remedy)
