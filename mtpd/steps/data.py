"""The data step: generate, convert or check the data set, and describe it for every later step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mtpd.data.coco import CocoSummary, check_coco, check_same_classes
from mtpd.data.dataset import Dataset, Split
from mtpd.data.sources import PROTOCOLS, splits_of
from mtpd.data.splits import Located, border_of, locate_split
from mtpd.digests import Digests
from mtpd.errors import UserError
from mtpd.files import read_json
from mtpd.layout import Layout
from mtpd.settings.data import Data, ShapesData
from mtpd.settings.experiment import Experiment

SAMPLED_IMAGES = 32
"""Of a split: enough to notice another folder of images, few enough to look at before every run."""


def prepare_data(experiment: Experiment, layout: Layout) -> None:
    """Write ``dataset.json``, after every split was found fit to train and evaluate on.

    Raises:
        UserError: A file, an annotation or an image is wrong.
    """
    data = experiment.data
    sources: dict[str, Located] = {}
    summaries: dict[str, CocoSummary] = {}
    for split in splits_of(data):
        classes = summaries["train"].classes if summaries else None
        sources[split] = locate_split(data, split, layout.data, classes)
        annotations = sources[split].annotations
        summaries[split] = check_coco(
            annotations,
            sources[split].images,
            bad_boxes=_bad_boxes(data, split),
            cleaned=layout.data / f"{split}_cleaned.json",
            border=border_of(data),
        )
        check_same_classes(annotations, summaries["train"].classes, summaries[split].classes)
        _report(split, summaries[split], sources[split].remarks)
    dataset = Dataset(
        classes=summaries["train"].classes,
        has_masks=all(summary.has_masks for summary in summaries.values()),
        splits={
            split: Split(
                summary.annotations.absolute(),
                sources[split].images.absolute(),
                summary.n_images,
                summary.n_boxes,
                summary.sha256,
                *_sample(data, summary.annotations, sources[split].images),
                _size_of_all(summary.annotations),
            )
            for split, summary in summaries.items()
        },
        protocol=PROTOCOLS.get(data.source, "coco"),
    )
    dataset.save(layout.dataset)


def has_same_images(experiment: Experiment, layout: Layout) -> bool:
    """Whether every image of the prepared data is there, and a sample of them is the same."""
    splits = Dataset.load(layout.dataset, experiment.data).splits.values()
    return all(
        split.sample_sha256 == _digest(split.images, split.sample)
        and all(
            (split.images / image["file_name"]).is_file()
            for image in read_json(split.annotations)["images"]
        )
        for split in splits
    )


def _sample(data: Data, annotations: Path, images: Path) -> tuple[tuple[str, ...], str]:
    """File names of some of the images, evenly spread, and the digest of their bytes."""
    if isinstance(data, ShapesData):
        return (), ""
    names = sorted(image["file_name"] for image in read_json(annotations)["images"])
    sample = tuple(names[:: max(1, len(names) // SAMPLED_IMAGES)][:SAMPLED_IMAGES])
    return sample, _digest(images, sample)


def _size_of_all(annotations: Path) -> tuple[int, int] | None:
    """Width and height of every image; None: they differ."""
    sizes = {(image["width"], image["height"]) for image in read_json(annotations)["images"]}
    return sizes.pop() if len(sizes) == 1 else None


def _digest(images: Path, sample: Sequence[str]) -> str:
    return (Digests().of_all(images / name for name in sample) or "") if sample else ""


def _bad_boxes(data: Data, split: str) -> Literal["error", "drop", "keep"]:
    """What to do with bad boxes: an evaluation counts them, as the published figures do."""
    if isinstance(data, ShapesData) or data.bad_boxes == "error":
        return "error"
    return "drop" if split == "train" else "keep"


def _report(split: str, summary: CocoSummary, remarks: Sequence[UserError]) -> None:
    """Say what was found; nothing is left out in silence."""
    log = logging.getLogger(__name__)
    for remark in remarks:
        log.warning("%s: %s", split, remark)
    log.info("%s: %d images, %d boxes", split, summary.n_images, summary.n_boxes)
    for name, count in summary.boxes_per_class.items():
        log.info("%s: %d of class %s", split, count, name)
    if summary.n_crowds:
        log.info("%s: %d of the boxes are crowds or ignore regions", split, summary.n_crowds)
    for reason, count in summary.dropped.items():
        log.warning("%s: left out %d boxes %s", split, count, reason)
    for reason, count in summary.odd.items():
        log.warning("%s: evaluation counts %d boxes %s", split, count, reason)
