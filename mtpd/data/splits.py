"""Where the splits of a data set lie; they are generated or converted where need be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from mtpd.data.argoverse import convert_argoverse
from mtpd.data.coco import BORDER
from mtpd.data.coco_whole import convert_coco
from mtpd.data.crowdhuman import convert_crowdhuman
from mtpd.data.shapes import generate_shapes
from mtpd.data.sources import absent_test, images_folder, own_annotations
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
        return Located(own, images, said)
    annotations = folder / f"{split}.json"
    return Located(annotations, images, (*said, *_convert(data, split, annotations, classes)))


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


def border_of(data: Data) -> float:
    """Pixels by which a box may leave its image."""
    return math.inf if isinstance(data, CrowdHumanData) else BORDER
