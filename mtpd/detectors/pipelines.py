"""The way of an image to a detector: the experiment's pipelines, or the config's own, scaled."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.config import Config

from mtpd.detectors.augmentation import augmented
from mtpd.detectors.datasets import innermost
from mtpd.errors import UserError
from mtpd.settings.experiment import ImagePipeline

logger = logging.getLogger(__name__)

SIZES = ("scale", "scales", "img_scale", "crop_size", "size")
"""Arguments of a pipeline's transforms that are image sizes in pixels."""


def set_pipelines(config: Config, pipeline: ImagePipeline, masks: bool) -> None:
    """Put the experiment's image pipeline in place of the config's own, if it gives a size.

    Otherwise the sizes of the config's own are scaled.
    """
    if pipeline.size is None:
        config.train_pipeline = scaled(config.train_pipeline, pipeline.scale)
        config.test_pipeline = scaled(config.test_pipeline, pipeline.scale)
        return
    hooks = config.get("custom_hooks", [])
    config.custom_hooks = [hook for hook in hooks if "PipelineSwitchHook" not in str(hook["type"])]
    if len(config.custom_hooks) < len(hooks):
        logger.warning(
            "%s: PipelineSwitchHook is left out, as pipeline.size replaces the pipelines",
            config.filename,
        )
    load = {"type": "LoadImageFromFile"}
    annotations = {"type": "LoadAnnotations", "with_bbox": True, "with_mask": masks}
    resize = {"type": "Resize", "scale": pipeline.size, "keep_ratio": True}
    keys = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
    config.train_pipeline = [load, annotations, *augmented(pipeline), {"type": "PackDetInputs"}]
    config.test_pipeline = [load, resize, {"type": "PackDetInputs", "meta_keys": keys}]


def check_own_pipelines(config: Config) -> None:
    """Refuse pipelines that the experiment's data cannot run through.

    Raises:
        UserError: The config has none, or one that mixes images.
    """
    remedy = "add pipeline.size, the width and height that images are fitted into"
    for mode in ("train", "test"):
        dataset = config.get(f"{mode}_dataloader", {}).get("dataset", {})
        if dataset.get("type") == "MultiImageMixDataset":
            raise UserError(config.filename, f"its {mode} pipeline combines several images", remedy)
        if "datasets" in dataset:
            problem = (
                f"its {mode} data are several data sets ({dataset['type']}), each with a pipeline"
            )
            raise UserError(config.filename, problem, remedy)
        own = innermost(dataset)[0].get("pipeline")
        if not own:
            raise UserError(config.filename, f"has no {mode} pipeline of its own", remedy)
        kinds = [str(step["type"]) for step in own]
        cached = [kind for kind in kinds if "Cached" in kind]
        if mode == "train" and cached:
            raise UserError(
                config.filename,
                f"its train pipeline combines an image with images that the process loaded before "
                f"({cached[0]}), so a resumed training would give another result",
                remedy,
            )


def test_image_size(config: Config) -> tuple[int, int] | None:
    """Width and height that the test pipeline fits a wide image into; None if it does not say."""
    scales = [step.get("scale") for step in config.test_pipeline if "Resize" in str(step["type"])]
    if len(scales) != 1 or not isinstance(scales[0], (tuple, list)) or len(scales[0]) != 2:
        return None
    return max(scales[0]), min(scales[0])


def scaled(transforms: Any, factor: float) -> Any:
    """A pipeline, or a part of one, with all image sizes times ``factor``."""
    if isinstance(transforms, dict):
        return {
            key: _scaled_size(value, factor) if key in SIZES else scaled(value, factor)
            for key, value in transforms.items()
        }
    if isinstance(transforms, list | tuple):
        return type(transforms)(scaled(item, factor) for item in transforms)
    return transforms


def _scaled_size(size: Any, factor: float) -> Any:
    """A size in pixels, or several; what is no whole number is relative and stays."""
    if isinstance(size, list | tuple):
        return type(size)(_scaled_size(item, factor) for item in size)
    return max(1, round(size * factor)) if isinstance(size, int) else size
