"""The data step: generate, convert or check the data set, and describe it for every later step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from mtpd.data.coco import CocoSummary, check_coco, mask_remarks
from mtpd.data.dataset import Dataset, Split
from mtpd.data.leaks import shared_pictures
from mtpd.data.sources import PROTOCOLS, splits_of
from mtpd.data.splits import Located, empty_images, locate_split, rules_of
from mtpd.digests import Digests
from mtpd.files import read_json
from mtpd.layout import Layout
from mtpd.settings.data import Data, FiledData, ShapesData
from mtpd.settings.experiment import Experiment

logger = logging.getLogger(__name__)

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
        sources[split] = located = locate_split(data, split, layout.data, classes)
        summaries[split] = check_coco(
            located.annotations,
            located.images,
            rules_of(data, split, classes),
            cleaned=layout.data / f"{split}_cleaned.json",
        )
        _report(data, split, located, summaries[split])
    if not isinstance(data, ShapesData):
        _report_shared(data, sources, summaries)
    unmasked = (summary.unmasked for summary in summaries.values())
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
                summary.n_empty,
            )
            for split, summary in summaries.items()
        },
        protocol=PROTOCOLS.get(data.source, "coco"),
        unmasked=next((str(found) for found in unmasked if found is not None), ""),
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


def _report(data: Data, split: str, located: Located, summary: CocoSummary) -> None:
    """Say what was found; nothing is left out in silence."""
    where = located.annotations
    empty = empty_images(data, split, where, summary.n_empty, summary.n_images)
    for remark in (*located.remarks, *summary.remarks, *mask_remarks(summary.unmasked), *empty):
        logger.warning("%s: %s", split, remark)
    logger.info("%s: %d images, %d boxes", split, summary.n_images, summary.n_boxes)
    for name, count in summary.boxes_per_class.items():
        logger.info("%s: %d of class %s", split, count, name)
    if summary.n_crowds:
        logger.info("%s: %d of the boxes are crowds or ignore regions", split, summary.n_crowds)
    for reason, count in summary.dropped.items():
        logger.warning("%s: left out %d boxes %s", split, count, reason)
    for reason, count in summary.odd.items():
        logger.warning("%s: evaluation counts %d boxes %s", split, count, reason)


def _report_shared(
    data: FiledData, sources: dict[str, Located], summaries: dict[str, CocoSummary]
) -> None:
    """Name pictures that are in two splits."""
    files = {
        split: [
            sources[split].images / image["file_name"]
            for image in read_json(summary.annotations)["images"]
        ]
        for split, summary in summaries.items()
    }
    for remark in shared_pictures(data.root, files):
        logger.warning("%s", remark)
