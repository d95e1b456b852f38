"""Where the files of a data set lie, and what of them the prepared data is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from mtpd.data.lists import SPLITS, split_list
from mtpd.data.voc_files import list_of, read_voc_list
from mtpd.data.yolo_files import has_split, label_file, listed_files, read_yolo_file
from mtpd.digests import Digests
from mtpd.errors import UserError
from mtpd.files import digest_of, read_json
from mtpd.settings.data import (
    CocoData,
    CrowdHumanData,
    Data,
    FiledData,
    OwnData,
    ShapesData,
    VocData,
    YoloData,
)

Protocol = Literal["coco", "crowdhuman", "streaming"]
"""Which figures beside COCO's a data set is judged by."""

PROTOCOLS: dict[str, Protocol] = {"argoverse_hd": "streaming", "crowdhuman": "crowdhuman"}
"""By source; all others are judged by COCO's alone."""


def splits_of(data: Data) -> tuple[str, ...]:
    """Splits that the experiment has. A test split that nobody asked for may be absent."""
    return tuple(split for split in SPLITS if _has(data, split))


def _has(data: Data, split: str) -> bool:
    if isinstance(data, OwnData) and data.split is not None:
        path = split_list(data, split)
        return split != "test" or (path is not None and path.is_file())
    if getattr(data, split) is None:
        return False
    if split != "test" or "test" in data.model_fields_set:
        return True
    if isinstance(data, YoloData) and data.root.is_dir():
        return has_split(data, split)
    if isinstance(data, VocData) and (data.root / data.lists).is_dir():
        return list_of(data, split).is_file()
    return True


def absent_test(data: Data) -> UserError | None:
    """What to say where the source could have a test split and has none."""
    if not isinstance(data, VocData | YoloData) or data.test is None or "test" in splits_of(data):
        return None
    problem = "there is no test split" if data.split is None else f"{data.split} has no test.txt"
    return UserError(data.root, problem, "val is what is reported; set data.test: null to say so")


def listing(data: FiledData, split: str) -> Path:
    """The file or folder that says which images ``split`` has."""
    if isinstance(data, OwnData) and data.split is not None:
        path = split_list(data, split)
        assert path is not None
        return path
    given = getattr(data, split)
    if isinstance(data, CocoData):
        return data.root / given.annotations
    if isinstance(data, VocData):
        return list_of(data, split)
    return data.root / (data.file if isinstance(data, YoloData) else given)


def images_folder(data: Data, split: str, folder: Path) -> Path:
    """What the file names of the prepared annotations are relative to.

    Args:
        data: The experiment's.
        split: Name of the split.
        folder: Of the prepared data.
    """
    if isinstance(data, ShapesData):
        return folder / split / "images"
    if isinstance(data, CocoData):
        if data.images is not None:
            return data.root / data.images[0] if len(data.images) == 1 else data.root
        images: Path = data.root / getattr(data, split).images
        return images
    if isinstance(data, CrowdHumanData | YoloData):
        return data.root
    return data.root / data.images


def own_annotations(data: Data, split: str) -> Path | None:
    """The user's instances JSON that is used where it lies; None: one is made from other files."""
    if not isinstance(data, CocoData) or data.split is not None:
        return None
    own: Path = data.root / getattr(data, split).annotations
    return own


def class_names(data: Data) -> tuple[str, ...] | None:
    """Class names in the order of their labels, as far as they are told without preparing the data.

    Returns:
        None: only the data step finds them out, or says what is wrong with them.
    """
    if isinstance(data, VocData):
        return data.classes
    try:
        if isinstance(data, YoloData):
            return data.classes or read_yolo_file(data).names
        own = own_annotations(data, "train")
        if own is None:
            return None
        return tuple(str(category["name"]) for category in read_json(own)["categories"])
    except (UserError, KeyError, TypeError):
        return None


def source_content(data: Data, split: str, digests: Digests) -> dict[str, Any] | None:
    """What the prepared annotations of ``split`` depend on, by content.

    Returns:
        JSON-ready; None: the user's files are not there.
    """
    settings = data.model_dump(mode="json", exclude=_places(data), exclude_defaults=True)
    content = {**settings, "source": data.source}
    if isinstance(data, ShapesData):
        return {**content, "images": getattr(data, split)}
    try:
        if isinstance(data, YoloData):
            return {**content, **_yolo_content(data, split, digests)}
        digest = digests.of_all(_source_files(data, split))
    except UserError:  # the data step says it
        return None
    return None if digest is None else {**content, "files": digest}


def _places(data: Data) -> set[str]:
    """Settings that say where files lie, and those that change no annotation."""
    places = {"root", *SPLITS, "split", "annotations", "lists", "file", "empty_images"}
    # CrowdHuman's file names are made with the folders of its images.
    return places if isinstance(data, CrowdHumanData) else places | {"images"}


def _source_files(data: FiledData, split: str) -> list[Path]:
    """Files of the user's that say what is on the images of ``split``."""
    listed = listing(data, split)
    if isinstance(data, CocoData) and data.annotations is not None:
        return [listed, *(data.root / file for file in data.annotations)]
    if not isinstance(data, VocData):
        return [listed]
    try:
        return [listed, *(entry.xml for entry in read_voc_list(data, split).entries)]
    except UserError:  # the data step says it
        return [listed]


def _yolo_content(data: YoloData, split: str, digests: Digests) -> dict[str, Any]:
    """Class names, names of images, and the bytes of the label files."""
    yolo = read_yolo_file(data)
    names = listed_files(data, yolo, split).names
    labels = {name: label_file(data.root, name) for name in names}
    there = {name: digests.of(path) for name, path in labels.items() if path is not None}
    return {"names": yolo.names, "files": digest_of([names, there])}
