"""The data step: generate, convert or check the data set, and describe it for every later step."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Literal

from mtpd.data.argoverse import convert_argoverse
from mtpd.data.coco import BORDER, CocoSummary, check_coco, check_same_classes
from mtpd.data.crowdhuman import convert_crowdhuman
from mtpd.data.dataset import Dataset, Protocol, Split
from mtpd.data.shapes import generate_shapes
from mtpd.data.voc import convert_voc
from mtpd.errors import UserError
from mtpd.experiment.settings import (
    ArgoverseHdData,
    CocoData,
    CrowdHumanData,
    Data,
    Experiment,
    ShapesData,
)
from mtpd.layout import Layout

SPLITS = ("train", "val", "test")
PROTOCOLS: dict[type, Protocol] = {ArgoverseHdData: "streaming", CrowdHumanData: "crowdhuman"}

Source = tuple[Path, Path]
"""Instances JSON, and the folder that its file names are relative to."""


def prepare_data(experiment: Experiment, layout: Layout) -> None:
    """Write ``dataset.json``, after every split was found fit to train and evaluate on.

    Raises:
        UserError: A file, an annotation or an image is wrong.
    """
    data = experiment.data
    sources: dict[str, Source] = {}
    summaries: dict[str, CocoSummary] = {}
    for split in SPLITS:
        if getattr(data, split) is None:
            continue
        classes = summaries["train"].classes if summaries else None
        annotations, images = sources[split] = locate_split(data, split, layout.data, classes)
        summaries[split] = check_coco(
            annotations,
            images,
            bad_boxes=_bad_boxes(data, split),
            cleaned=layout.data / f"{split}_cleaned.json",
            border=border_of(data),
        )
        check_same_classes(annotations, summaries["train"].classes, summaries[split].classes)
        _report(split, summaries[split])
    dataset = Dataset(
        classes=summaries["train"].classes,
        has_masks=all(summary.has_masks for summary in summaries.values()),
        splits={
            split: Split(
                summary.annotations.absolute(),
                sources[split][1].absolute(),
                summary.n_images,
                summary.n_boxes,
                summary.sha256,
            )
            for split, summary in summaries.items()
        },
        protocol=PROTOCOLS.get(type(data), "coco"),
    )
    dataset.save(layout.dataset)


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


def _bad_boxes(data: Data, split: str) -> Literal["error", "drop", "keep"]:
    """What to do with bad boxes: an evaluation counts them, as the published figures do."""
    if isinstance(data, ShapesData) or data.bad_boxes == "error":
        return "error"
    return "drop" if split == "train" else "keep"


def _report(split: str, summary: CocoSummary) -> None:
    """Say what was found; nothing is left out in silence."""
    log = logging.getLogger(__name__)
    log.info("%s: %d images, %d boxes", split, summary.n_images, summary.n_boxes)
    for name, count in summary.boxes_per_class.items():
        log.info("%s: %d of class %s", split, count, name)
    if summary.n_crowds:
        log.info("%s: %d of the boxes are crowds or ignore regions", split, summary.n_crowds)
    for reason, count in summary.dropped.items():
        log.warning("%s: left out %d boxes %s", split, count, reason)
    for reason, count in summary.odd.items():
        log.warning("%s: evaluation counts %d boxes %s", split, count, reason)
