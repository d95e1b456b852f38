"""What a detector is trained and evaluated on: loaders and evaluators of a prepared data set."""

from __future__ import annotations

from typing import Any, Literal

from mmengine.config import Config

from mtpd.data.dataset import Dataset, Split
from mtpd.detectors.datasets import coco_dataset, innermost
from mtpd.detectors.own_config import has_masks
from mtpd.detectors.pipelines import check_own_pipelines, set_pipelines, test_image_size
from mtpd.settings.experiment import ImagePipeline, Training

AT_A_TIME = 16
PIXELS_AT_A_TIME = 1333 * 800
"""Most images, and most pixels, that are validated and evaluated together."""


def data_config(
    config: Config,
    dataset: Dataset,
    pipeline: ImagePipeline,
    training: Training,
    seed: int,
    *,
    keeps_empty: bool = False,
) -> None:
    """Set the loaders and evaluators of ``config`` to the prepared data set.

    ``keeps_empty`` says whether images without annotations are trained on.
    """
    if pipeline.size is None:
        check_own_pipelines(config)
    own, times = innermost(config.get("train_dataloader", {}).get("dataset", {}))
    own_test, _ = innermost(config.get("test_dataloader", {}).get("dataset", {}))
    config.train_pipeline = own.get("pipeline", [])
    config.test_pipeline = own_test.get("pipeline", [])
    set_pipelines(config, pipeline, has_masks(config.model))
    train = {
        **coco_dataset(dataset, "train", config.train_pipeline),
        "filter_cfg": {"filter_empty_gt": not keeps_empty},
    }
    if times > 1 and training.epochs is None:
        train = {"type": "RepeatDataset", "times": times, "dataset": train}
    batch = training.batch_size or config.get("train_dataloader", {}).get("batch_size", 2)
    config.train_dataloader = {
        **_workers(pipeline),
        "batch_size": batch,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "batch_sampler": {"type": "ResumableBatchSampler"},
        "dataset": {"type": "SeededDataset", "dataset": train, "seed": seed},
    }
    config.val_dataloader = test_loader(config, dataset, "val", pipeline)
    config.val_evaluator = evaluator(config, dataset, "val")
    config.val_cfg = {"type": "ValLoop"}
    config.test_dataloader = test_loader(config, dataset, dataset.reported, pipeline)
    config.test_evaluator = evaluator(config, dataset, dataset.reported)
    config.test_cfg = {"type": "TestLoop"}


def test_loader(
    config: Config, dataset: Dataset, split: str, pipeline: ImagePipeline
) -> dict[str, Any]:
    """Loader of ``split``, in order; several images at a time where none needs padding for it."""
    return {
        **_workers(pipeline),
        "batch_size": _images_at_a_time(config, dataset.splits[split]),
        "drop_last": False,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "dataset": {**coco_dataset(dataset, split, config.test_pipeline), "test_mode": True},
    }


def _images_at_a_time(config: Config, split: Split) -> int:
    """As many small images of one size as need no more memory than a usual one; otherwise one."""
    size = test_image_size(config)
    if split.image_size is None or size is None:
        return 1
    return max(1, min(AT_A_TIME, PIXELS_AT_A_TIME // (size[0] * size[1])))


def evaluator(config: Config, dataset: Dataset, split: str) -> dict[str, Any]:
    """COCO box AP, and mask AP for a detector with masks on data with masks."""
    return {
        "type": "CocoFiguresMetric",
        "ann_file": str(dataset.splits[split].annotations),
        "kinds": metrics_of(config, dataset),
    }


def metrics_of(config: Config, dataset: Dataset) -> list[Literal["bbox", "segm"]]:
    """What a detector is evaluated by: boxes, and masks if it predicts them and the data has."""
    return ["bbox", "segm"] if has_masks(config.model) and dataset.has_masks else ["bbox"]


def _workers(pipeline: ImagePipeline) -> dict[str, Any]:
    workers = pipeline.workers or 0
    return {"num_workers": workers, "persistent_workers": workers > 0}
