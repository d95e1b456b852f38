"""The data step: generate, convert or check the data set, and describe it for every later step."""

from __future__ import annotations

import logging
from typing import Literal

from mtpd.data.coco import CocoSummary, check_coco, check_same_classes
from mtpd.data.dataset import Dataset, Protocol, Split
from mtpd.data.sources import splits_of
from mtpd.data.splits import Source, border_of, locate_split
from mtpd.files import read_json
from mtpd.layout import Layout
from mtpd.settings.experiment import (
    ArgoverseHdData,
    CrowdHumanData,
    Data,
    Experiment,
    ShapesData,
)

PROTOCOLS: dict[type, Protocol] = {ArgoverseHdData: "streaming", CrowdHumanData: "crowdhuman"}


def prepare_data(experiment: Experiment, layout: Layout) -> None:
    """Write ``dataset.json``, after every split was found fit to train and evaluate on.

    Raises:
        UserError: A file, an annotation or an image is wrong.
    """
    data = experiment.data
    sources: dict[str, Source] = {}
    summaries: dict[str, CocoSummary] = {}
    for split in splits_of(data):
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


def has_all_images(experiment: Experiment, layout: Layout) -> bool:
    """Whether every image of the prepared data is there: where it was prepared, it was."""
    splits = Dataset.load(layout.dataset, experiment.data).splits.values()
    return all(
        (split.images / image["file_name"]).is_file()
        for split in splits
        for image in read_json(split.annotations)["images"]
    )


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
