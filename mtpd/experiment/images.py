"""How many images a data set has, told as cheaply as can be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtpd.data.dataset import Dataset
from mtpd.experiment.settings import Experiment, ShapesData
from mtpd.experiment.speed import Assumptions
from mtpd.layout import Layout

SMALL_FILE = 64 * 1024 * 1024
"""Annotations up to so many bytes are read. COCO's own training set has 448 MB."""


NOT_THERE = "assumed as many as COCO has, as the data is not there"


@dataclass(frozen=True)
class Images:
    """Images of every split, and how that is known.

    Attributes:
        splits: Name → number. Without ``test``, ``val`` is what is reported.
        source: In words.
    """

    splits: dict[str, int]
    source: str

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
        prepared = Dataset.load(layout.dataset).splits
        return Images({name: part.n_images for name, part in prepared.items()}, "prepared data")
    data: Any = experiment.data
    named = {
        name: getattr(data, name)
        for name in ("train", "val", "test")
        if name != "test" or getattr(data, name, None) is not None
    }
    if isinstance(data, ShapesData):
        return Images(named, "settings")
    known = Assumptions.load().images.get(data.source)
    if isinstance(known, dict):
        return Images(known, f"known size of {data.source}")
    found = {name: _of_split(data.root, split) for name, split in named.items()}
    sources = dict.fromkeys(source for _, source in found.values())
    usual = Assumptions.load().default_images
    return Images(
        {name: count or usual[name] for name, (count, _) in found.items()}, ", ".join(sources)
    )


def _of_split(root: Path, split: Any) -> tuple[int | None, str]:
    """Images of one split in COCO format, or of a list of Pascal VOC's; and how that is known."""
    if isinstance(split, str):
        listed = root / "ImageSets" / "Main" / f"{split}.txt"
        if listed.is_file():
            lines = listed.read_text(encoding="utf-8", errors="replace").splitlines()
            return sum(bool(line.strip()) for line in lines), "lists of images"
        return None, NOT_THERE
    annotations = root / split.annotations
    if annotations.is_file() and annotations.stat().st_size <= SMALL_FILE:
        # Every image has a file name, and nothing else has.
        return annotations.read_bytes().count(b'"file_name"'), "annotations"
    known = Assumptions.load().images.get(annotations.name)
    if isinstance(known, int):
        return known, "known size of COCO"
    return None, NOT_THERE
