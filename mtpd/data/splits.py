"""Where the splits of a data set lie; they are generated or converted where need be."""

from __future__ import annotations

import math
from pathlib import Path

from mtpd.data.argoverse import convert_argoverse
from mtpd.data.coco import BORDER
from mtpd.data.crowdhuman import convert_crowdhuman
from mtpd.data.shapes import generate_shapes
from mtpd.data.sources import images_folder, own_annotations
from mtpd.data.voc import convert_voc
from mtpd.errors import UserError
from mtpd.files import in_full
from mtpd.settings.experiment import ArgoverseHdData, CrowdHumanData, Data, ShapesData, VocData

Source = tuple[Path, Path]
"""Instances JSON, and the folder that its file names are relative to."""


def locate_split(
    data: Data,
    split: str,
    folder: Path,
    classes: tuple[str, ...] | None,
) -> Source:
    """Where ``split`` lies; it is generated or converted into ``folder`` first if need be."""
    images = images_folder(data, split, folder)
    if isinstance(data, ShapesData):
        count = getattr(data, split)
        annotations = generate_shapes(
            folder / split, split=split, images=count, size=data.size, seed=data.seed
        )
        return annotations, images
    if not data.root.is_dir():
        raise UserError(
            "data.root",
            f"there is no folder '{data.root}'{in_full(data.root)}",
            "say where the data set lies, here or in data_roots of config/config.yaml",
        )
    own = own_annotations(data, split)
    if own is not None:
        return own, images
    annotations, listed = folder / f"{split}.json", getattr(data, split)
    if isinstance(data, ArgoverseHdData):
        convert_argoverse(data.root / listed, annotations, whole_sequences=split != "train")
    elif isinstance(data, CrowdHumanData):
        convert_crowdhuman(data.root / listed, data.root, data.images, annotations)
    elif isinstance(data, VocData):
        convert_voc(data.root, listed, annotations, classes=classes or data.classes)
    return annotations, images


def border_of(data: Data) -> float:
    """Pixels by which a box may leave its image."""
    return math.inf if isinstance(data, CrowdHumanData) else BORDER
