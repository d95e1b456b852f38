"""MMDetection's data sets, as configs describe them."""

from __future__ import annotations

from typing import Any

from mmengine.config import ConfigDict

from mtpd.data.dataset import Dataset


def coco_dataset(dataset: Dataset, split: str, pipeline: list[Any]) -> dict[str, Any]:
    """MMDetection's data set of one split."""
    return {
        "type": "CocoDataset",
        "metainfo": {"classes": dataset.classes},
        "data_root": "",
        "ann_file": str(dataset.splits[split].annotations),
        "data_prefix": {"img": str(dataset.splits[split].images)},
        "pipeline": pipeline,
    }


def innermost(dataset: ConfigDict) -> tuple[ConfigDict, int]:
    """The data set inside wrappers, and how many times these repeat it."""
    times = 1
    while "dataset" in dataset:
        times *= dataset.get("times", 1)
        dataset = dataset["dataset"]
    return dataset, times
