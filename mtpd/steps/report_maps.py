"""Feature maps of one image, for the report: the only part of it for which models run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtpd.files import read_json
from mtpd.layout import ModelFolder
from mtpd.reporting.page.content import FeatureMaps, Role
from mtpd.reporting.page.images import photo_uri
from mtpd.steps.context import Context

MOST_PARAMETERS = 100_000_000
"""Of a model that runs on one image on a CPU in some seconds, in the memory of an evaluation."""

LEVELS = 4
"""The finest levels are shown that all models have."""

Maps = dict[int, np.ndarray]
"""Stride → strength of the map, (height, width)."""


@dataclass(frozen=True)
class Shown:
    """A model whose maps are shown: a title, its detector's name, and where its weights lie."""

    title: str
    role: Role
    detector: str
    folder: ModelFolder


def feature_maps(context: Context, models: list[Shown], image_id: int) -> FeatureMaps:
    """Maps of ``models`` on one validation image; the last of them is what others are compared to.

    Runs on the CPU, whatever else there is: it is one image.

    Raises:
        UserError: A model's weights cannot be read, or the image.
    """
    found = {shown.title: _maps(context, shown, image_id) for shown in models}
    goal = found[models[-1].title]
    strides = sorted(set.intersection(*(set(maps) for maps in found.values())))[:LEVELS]
    file = _image_file(context, image_id)
    return FeatureMaps(
        image=file.name,
        uri=photo_uri(file),
        strides=tuple(strides),
        rows={title: [_scaled(maps[s]) for s in strides] for title, maps in found.items()},
        roles={shown.title: shown.role for shown in models},
        likeness={
            title: [None if maps is goal else likeness(maps[s], goal[s]) for s in strides]
            for title, maps in found.items()
        },
    )


def likeness(one: np.ndarray, other: np.ndarray) -> float | None:
    """Pearson's correlation of two maps; None: one is constant, or they have other sizes."""
    if one.shape != other.shape or one.std() == 0 or other.std() == 0:
        return None
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def _scaled(values: np.ndarray) -> np.ndarray:
    """From 0 to 1, the darkest and brightest hundredth left at the ends."""
    low, high = np.percentile(values, [1, 99])
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1)


def _maps(context: Context, shown: Shown, image_id: int) -> Maps:
    """Mean absolute value over the channels of every level, without what is padded."""
    from mmdet.registry import DATASETS, MODELS
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import init_default_scope

    from mtpd.detectors.datasets import coco_dataset
    from mtpd.detectors.feature_maps import evaluating, fpn_levels
    from mtpd.detectors.weights import load_weights
    from mtpd.settings.experiment import Training
    from mtpd.steps.features import image_shape

    config = context.detector_config(shown.detector, Training())
    init_default_scope("mmdet")
    model = MODELS.build(config.model)
    load_weights(model, shown.folder.weights)
    dataset = DATASETS.build(
        {**coco_dataset(context.dataset, "val", config.test_pipeline), "test_mode": True}
    )
    places = {dataset.get_data_info(i)["img_id"]: i for i in range(len(dataset))}
    strides = [level.stride for level in fpn_levels(model)]
    with evaluating(model):
        data = model.data_preprocessor(pseudo_collate([dataset[places[image_id]]]), False)
        maps = model.extract_feat(data["inputs"])
    height, width = image_shape(data["data_samples"][0])
    found: Maps = {}
    for stride, values in zip(strides, maps, strict=True):
        rows, columns = -(-int(height) // stride), -(-int(width) // stride)
        found.setdefault(stride, values[0].abs().mean(0)[:rows, :columns].numpy())
    return found


def _image_file(context: Context, image_id: int) -> Path:
    split = context.dataset.splits["val"]
    images: list[Mapping[str, Any]] = read_json(split.annotations)["images"]
    name = next(image["file_name"] for image in images if image["id"] == image_id)
    return split.images / name
