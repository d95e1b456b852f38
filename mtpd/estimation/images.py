"""How many images a data set has, told as cheaply as can be."""

from __future__ import annotations

from dataclasses import dataclass

from mtpd.data.dataset import Dataset
from mtpd.data.published import COUNTS
from mtpd.data.sources import listing, splits_of
from mtpd.data.yolo_files import listed_files, read_yolo_file
from mtpd.errors import UserError
from mtpd.layout import Layout
from mtpd.settings.data import FiledData, ShapesData, YoloData
from mtpd.settings.experiment import Experiment

SMALL_FILE = 64 * 1024 * 1024
"""Annotations of published data sets are read up to so many bytes. COCO's have 448 MB."""


NOT_THERE = "assumed as many as COCO has, as the data is not there"


@dataclass(frozen=True)
class Images:
    """Images of every split, and how that is known.

    Attributes:
        splits: Name → number. Without ``test``, ``val`` is what is reported.
        source: In words.
        one_size: Whether the training images are known to have one size.
    """

    splits: dict[str, int]
    source: str
    one_size: bool = False

    @property
    def evaluated(self) -> int:
        """Images that one evaluation goes through."""
        return self.splits["val"] + self.splits.get("test", 0)


def count_images(experiment: Experiment, layout: Layout) -> Images:
    """Images of the experiment's data set.

    From what the data step has prepared; before that from the settings or the user's files, or by
    the known sizes of public data sets; failing all, as many as COCO has.
    """
    if layout.dataset.is_file():
        prepared = Dataset.load(layout.dataset, experiment.data).splits
        numbers = {name: part.n_images for name, part in prepared.items()}
        return Images(numbers, "prepared data", prepared["train"].image_size is not None)
    data = experiment.data
    if isinstance(data, ShapesData):
        return Images({name: getattr(data, name) for name in splits_of(data)}, "settings", True)
    published = _published(data.source)
    found = {name: _of_split(data, name, published) for name in splits_of(data)}
    sources = dict.fromkeys(source for _, source in found.values())
    usual = _as_many_as_coco()
    return Images(
        {name: count or usual[name] for name, (count, _) in found.items()}, ", ".join(sources)
    )


def _published(source: str) -> dict[str, int]:
    """Images of the published data set of ``source``, by what lists them; empty: there is none."""
    return {
        name: counts.images
        for name, counts in COUNTS.get(source, {}).items()
        if counts.images is not None
    }


def _as_many_as_coco() -> dict[str, int]:
    """What to take for a data set that nothing is known of; ``test`` is as large as ``val``."""
    coco = _published("coco")
    train, val = (coco[f"instances_{name}2017.json"] for name in ("train", "val"))
    return {"train": train, "val": val, "test": val}


def _of_split(data: FiledData, split: str, published: dict[str, int]) -> tuple[int | None, str]:
    """Images of one split, and how that is known; ``published`` is by what lists them."""
    listed = listing(data, split)
    if isinstance(data, YoloData) and data.split is None:
        try:
            names = listed_files(data, read_yolo_file(data), split).names
        except UserError:  # the data step says it
            return None, NOT_THERE
        return len(names), "lists of images"
    known = published.get(listed.name)
    if listed.is_file() and (known is None or listed.stat().st_size <= SMALL_FILE):
        content = listed.read_bytes()
        if listed.suffix == ".json":
            # Every image has a file name, and nothing else has.
            return content.count(b'"file_name"'), "annotations"
        return sum(bool(line.strip()) for line in content.splitlines()), "lists of images"
    return (None, NOT_THERE) if known is None else (known, "published sizes of the data set")
