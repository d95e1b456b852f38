"""Where the splits of a data set lie; they are generated or converted where need be."""

from __future__ import annotations

import math
from pathlib import Path

from mtpd.data.argoverse import convert_argoverse
from mtpd.data.coco import BORDER
from mtpd.data.crowdhuman import convert_crowdhuman
from mtpd.data.shapes import generate_shapes
from mtpd.data.voc import convert_voc
from mtpd.errors import UserError
from mtpd.settings.experiment import ArgoverseHdData, CocoData, CrowdHumanData, Data, ShapesData

SPLITS = ("train", "val", "test")

Source = tuple[Path, Path]
"""Instances JSON, and the folder that its file names are relative to."""


def locate_split(
    data: Data,
    split: str,
    folder: Path,
    classes: tuple[str, ...] | None,
) -> Source:
    """Where ``split`` lies; it is generated or converted into ``folder`` first if need be."""
    if isinstance(data, ShapesData):
        count = getattr(data, split)
        generated = folder / split
        annotations = generate_shapes(
            generated, split=split, images=count, size=data.size, seed=data.seed
        )
        return annotations, generated / "images"
    if not data.root.is_dir():
        raise UserError(
            "data.root",
            f"there is no folder '{data.root}'",
            "say where the data set lies, here or in data_roots of config/config.yaml",
        )
    if isinstance(data, CocoData):
        paths = getattr(data, split)
        return data.root / paths.annotations, data.root / paths.images
    annotations = folder / f"{split}.json"
    if isinstance(data, ArgoverseHdData):
        own = data.root / getattr(data, split)
        convert_argoverse(own, annotations, whole_sequences=split != "train")
        return annotations, data.root / data.images
    if isinstance(data, CrowdHumanData):
        convert_crowdhuman(data.root / getattr(data, split), data.root, data.images, annotations)
        return annotations, data.root
    convert_voc(data.root, getattr(data, split), annotations, classes=classes or data.classes)
    return annotations, data.root / "JPEGImages"


def border_of(data: Data) -> float:
    """Pixels by which a box may leave its image."""
    return math.inf if isinstance(data, CrowdHumanData) else BORDER
