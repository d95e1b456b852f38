"""One step of a training on small images, to see whether it works at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub

from mtpd.data.dataset import Dataset
from mtpd.detectors.datasets import coco_dataset
from mtpd.detectors.pipelines import SIZES, scaled

LONGEST = 320
"""Pixels that images are scaled down to: a check runs in little memory."""
IMAGES = 2


FIRST_STEP = {"epoch": 0, "iter": 0, "max_epochs": 1, "max_iters": 1}
"""What MMEngine's runner tells the parts of a model that change in the course of a training."""


def try_a_step(model: Any, config: Config, dataset: Dataset, n_images: int = IMAGES) -> bool:
    """Run the loss of a few images of the validation split forward and backward.

    ``model`` keeps the running means of this step, and its gradients.

    Args:
        model: As its config builds it.
        config: Of its training; gives the train pipeline.
        dataset: The prepared data.
        n_images: At most so many.

    Returns:
        Whether there was an image with boxes to try it on.

    Raises:
        ValueError: A loss is not finite.
        Exception: Whatever the model raises where its parts do not fit.
    """
    factor = min(1.0, LONGEST / max(_sizes(config.train_pipeline), default=LONGEST))
    described = coco_dataset(dataset, "val", scaled(config.train_pipeline, factor))
    images = DATASETS.build({**described, "filter_cfg": {"filter_empty_gt": True}})
    if not len(images):
        return False
    batch = pseudo_collate([images[i] for i in range(min(n_images, len(images)))])
    hub = MessageHub.get_current_instance()
    for name, value in FIRST_STEP.items():
        hub.update_info(name, value)
    model.train()
    data = model.data_preprocessor(batch, True)
    total, figures = model.parse_losses(model.loss(data["inputs"], data["data_samples"]))
    for name, value in reversed(figures.items()):  # the sum comes first
        if "loss" in name and not torch.isfinite(value).all():
            raise ValueError(f"{name} is {float(value)}")
    total.backward()
    return True


def _sizes(transforms: Any) -> Iterator[int]:
    """All image sizes of a pipeline, in pixels."""
    if isinstance(transforms, dict):
        for key, value in transforms.items():
            yield from _numbers(value) if key in SIZES else _sizes(value)
    elif isinstance(transforms, list | tuple):
        for item in transforms:
            yield from _sizes(item)


def _numbers(size: Any) -> Iterator[int]:
    if isinstance(size, list | tuple):
        for item in size:
            yield from _numbers(item)
    elif isinstance(size, int):
        yield size
