"""Where the splits of a data set lie; they are generated or converted where need be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from mtpd.data.argoverse import convert_argoverse
from mtpd.data.coco import BORDER, BadBoxes, Rules
from mtpd.data.coco_whole import convert_coco
from mtpd.data.crowdhuman import convert_crowdhuman
from mtpd.data.shapes import generate_shapes
from mtpd.data.sources import absent_test, images_folder, own_annotations
from mtpd.data.tidy import Classes
from mtpd.data.voc import convert_voc
from mtpd.data.yolo import convert_yolo
from mtpd.errors import UserError
from mtpd.files import in_full
from mtpd.settings.data import (
    ArgoverseHdData,
    CocoData,
    CrowdHumanData,
    Data,
    FiledData,
    ShapesData,
    VocData,
    YoloData,
    keeps_empty_images,
)


@dataclass(frozen=True)
class Located:
    """Where a split lies.

    Attributes:
        annotations: Instances JSON.
        images: Folder that its file names are relative to.
        remarks: What was taken one way where it could be a mistake, with counts.
    """

    annotations: Path
    images: Path
    remarks: tuple[UserError, ...] = ()


def locate_split(
    data: Data,
    split: str,
    folder: Path,
    classes: tuple[str, ...] | None,
) -> Located:
    """Where ``split`` lies; it is generated or converted into ``folder`` first if need be.

    Raises:
        UserError: A file of the user's is missing or wrong.
    """
    images = images_folder(data, split, folder)
    if isinstance(data, ShapesData):
        count = getattr(data, split)
        annotations = generate_shapes(
            folder / split, split=split, images=count, size=data.size, seed=data.seed
        )
        return Located(annotations, images)
    if not data.root.is_dir():
        raise UserError(
            "data.root",
            f"there is no folder '{data.root}'{in_full(data.root)}",
            "say where the data set lies, here or in data_roots of config/config.yaml",
        )
    absent = absent_test(data) if split == "train" else None
    said = () if absent is None else (absent,)
    own = own_annotations(data, split)
    if own is not None:
        _check_instances(own)
        return Located(own, images, said)
    annotations = folder / f"{split}.json"
    return Located(annotations, images, (*said, *_convert(data, split, annotations, classes)))


def _check_instances(path: Path) -> None:
    """Refuse what is taken for an instances file where labels are meant.

    Raises:
        UserError: It is a folder, or a file of another kind.
    """
    if path.is_dir() or path.suffix in (".txt", ".yaml", ".yml"):
        kind = "a folder" if path.is_dir() else f"a {path.suffix} file"
        remedy = "give a COCO instances JSON; for YOLO's labels set data.source to yolo"
        raise UserError(path, f"is {kind}", remedy)


def _convert(
    data: FiledData, split: str, out: Path, classes: tuple[str, ...] | None
) -> tuple[UserError, ...]:
    """Write the instances JSON of a split; gives what must be said of it."""
    if isinstance(data, ArgoverseHdData):
        convert_argoverse(data.root / getattr(data, split), out, whole_sequences=split != "train")
        return ()
    if isinstance(data, CrowdHumanData):
        convert_crowdhuman(data.root / getattr(data, split), data.root, data.images, out)
        return ()
    if isinstance(data, CocoData):
        return convert_coco(data, split, out)
    if isinstance(data, VocData):
        return convert_voc(data, split, out, classes)
    return convert_yolo(data, split, out)


def rules_of(
    data: Data, split: str, classes: tuple[str, ...] | None, decode: bool = False
) -> Rules:
    """How ``split`` is judged; ``classes`` are those of the training split, if they are known."""
    return Rules(
        bad_boxes=_bad_boxes(data, split),
        # Full boxes are drawn around whole persons, seen or not.
        border=math.inf if isinstance(data, CrowdHumanData) else BORDER,
        classes=Classes(classes, data.classes if isinstance(data, CocoData | YoloData) else None),
        measured=isinstance(data, YoloData),
        decode=decode,
    )


def _bad_boxes(data: Data, split: str) -> BadBoxes:
    """What to do with bad boxes: an evaluation counts them, as the published figures do."""
    if isinstance(data, ShapesData) or data.bad_boxes == "error":
        return "error"
    return "drop" if split == "train" else "keep"


def empty_images(data: Data, split: str, where: object, empty: int, images: int) -> list[UserError]:
    """What to say of images without boxes: training uses them or not, evaluation always does.

    Args:
        data: The experiment's.
        split: Name of the split.
        where: Its annotations.
        empty: Number of images without boxes.
        images: Number of all images.
    """
    if split != "train" or not empty or isinstance(data, ShapesData):
        return []
    problem = f"{empty} of {images} images have no boxes"
    if keeps_empty_images(data):
        return [UserError(where, problem, "trained on, as data.empty_images is keep")]
    return [UserError(where, problem, "not trained on, as data.empty_images is drop")]
