"""Where the files of a data set lie, and what of them the prepared data is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from mtpd.digests import Digests
from mtpd.errors import UserError
from mtpd.files import read_json
from mtpd.settings.experiment import (
    ArgoverseHdData,
    CocoData,
    CrowdHumanData,
    Data,
    ShapesData,
    VocData,
    annotations_of,
)

SPLITS = ("train", "val", "test")

Protocol = Literal["coco", "crowdhuman", "streaming"]
"""Which figures beside COCO's a data set is judged by."""

PROTOCOLS: dict[str, Protocol] = {"argoverse_hd": "streaming", "crowdhuman": "crowdhuman"}
"""By source; all others are judged by COCO's alone."""


def splits_of(data: Data) -> tuple[str, ...]:
    """Splits that the experiment names."""
    return tuple(split for split in SPLITS if getattr(data, split) is not None)


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
        images: Path = data.root / getattr(data, split).images
        return images
    if isinstance(data, ArgoverseHdData):
        return data.root / data.images
    return data.root if isinstance(data, CrowdHumanData) else data.root / "JPEGImages"


def own_annotations(data: Data, split: str) -> Path | None:
    """The user's instances JSON that is used where it lies; None: one is made from other files."""
    if not isinstance(data, CocoData):
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
    own = own_annotations(data, "train")
    if own is None:
        return None
    try:
        return tuple(str(category["name"]) for category in read_json(own)["categories"])
    except (UserError, KeyError, TypeError):
        return None


def source_content(data: Data, split: str, digests: Digests) -> dict[str, Any] | None:
    """What the prepared annotations of ``split`` depend on, by content.

    Returns:
        JSON-ready; None: the user's files are not there.
    """
    # CrowdHuman's file names are made with the folders of its images.
    paths = {"root", *SPLITS} | (set() if isinstance(data, CrowdHumanData) else {"images"})
    settings = data.model_dump(mode="json", exclude=paths, exclude_defaults=True)
    content = {**settings, "source": data.source}
    if isinstance(data, ShapesData):
        return {**content, "images": getattr(data, split)}
    digest = digests.of_all(_source_files(data, split))
    return None if digest is None else {**content, "files": digest}


def _source_files(data: Data, split: str) -> list[Path]:
    """Files of the user's that say what is on the images of ``split``."""
    assert not isinstance(data, ShapesData)
    listed = data.root / annotations_of(getattr(data, split))
    if not isinstance(data, VocData):
        return [listed]
    try:
        return [listed, *listed_annotations(data.root, getattr(data, split))]
    except UserError:  # the data step says it
        return [listed]


def listed_annotations(root: Path, split: str) -> list[Path]:
    """The XML files of a split of Pascal VOC, in the order of its list.

    Raises:
        UserError: The list or one of the files is missing or wrong.
    """
    path = root / "ImageSets" / "Main" / f"{split}.txt"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise UserError(path, "does not exist", "name a list of ImageSets/Main") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(path, f"cannot be read ({error})", "give one image id a line") from error
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise UserError(path, "is empty", "list at least one image id")
    seen: set[str] = set()
    for image_id in ids:
        if image_id in seen:
            raise UserError(path, f"lists '{image_id}' twice", "list every image once")
        seen.add(image_id)
    files = [root / "Annotations" / f"{image_id}.xml" for image_id in ids]
    for file in files:
        if not file.is_file():
            problem = f"lists '{file.stem}', but {file} does not exist"
            raise UserError(path, problem, "add the annotation or remove the id from the list")
    return files
