"""One pass of a detector over the calibration images fills its feature cache."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from mtpd.detectors.datasets import coco_dataset
from mtpd.detectors.feature_maps import evaluating, fpn_levels
from mtpd.detectors.weights import load_weights
from mtpd.features.cache import CacheIdentity, Features, save_cache
from mtpd.features.sampling import choose_images, sample_levels, sample_points
from mtpd.files import sha256_of
from mtpd.settings.experiment import Training
from mtpd.steps.context import Context


def cache_features(context: Context, name: str) -> None:
    """Write the feature cache of the detector ``name``."""
    config = context.detector_config(name, Training())
    folder = context.layout.detector(name)
    init_default_scope("mmdet")
    model = MODELS.build(config.model)
    load_weights(model, folder.weights)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    identity = cache_identity(context, name)
    dataset = DATASETS.build(
        {**coco_dataset(context.dataset, "train", config.test_pipeline), "test_mode": True}
    )
    save_cache(folder.features, _features(model, dataset, identity), identity)


def cache_identity(context: Context, name: str) -> CacheIdentity:
    """What the cache of the detector ``name`` has to be made from now."""
    ordering, seed = context.experiment.ordering, context.experiment.seed
    split = context.dataset.splits["train"]
    return CacheIdentity(
        weights_sha256=sha256_of(context.layout.detector(name).weights),
        data_sha256=split.sha256,
        image_ids=tuple(choose_images(split.image_ids(), ordering.images, seed)),
        points=ordering.points,
        seed=seed,
    )


def _features(model: Any, dataset: Any, identity: CacheIdentity) -> Features:
    """Stride → (images, points, channels) in the order of the identity's images."""
    strides = [level.stride for level in fpn_levels(model)]
    places = {dataset.get_data_info(i)["img_id"]: i for i in range(len(dataset))}
    rows: dict[int, list[np.ndarray]] = {stride: [] for stride in strides}
    with evaluating(model):
        for image_id in identity.image_ids:
            batch = pseudo_collate([dataset[places[image_id]]])
            data = model.data_preprocessor(batch, False)
            maps = model.extract_feat(data["inputs"])
            sampled = sample_levels(
                dict(zip(strides, maps, strict=True)),
                sample_points(identity.seed, image_id, identity.points),
                image_shape(data["data_samples"][0]),
            )
            for stride, values in sampled.items():
                rows[stride].append(values)
    return {stride: np.stack(values) for stride, values in rows.items()}


def image_shape(sample: Any) -> tuple[float, float]:
    """Height and width of the resized image, without what a pipeline may have padded it by."""
    (height, width), (by_width, by_height) = sample.ori_shape[:2], sample.scale_factor
    return height * by_height, width * by_width
