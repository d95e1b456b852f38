"""What a detector's training and its outputs depend on, of its config as MMEngine resolves it.

Two configs of the same content train the same, whatever their files are called, whatever comments
they have and in whichever order their keys stand. What a pipeline of this project overwrites, such
as folders, loggers and hooks of MMEngine's own, is no part of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mtpd.detectors.augmentation import augmented
from mtpd.detectors.datasets import innermost
from mtpd.detectors.own_config import CHECKPOINTS, HEADS
from mtpd.detectors.schedule import schedule_config
from mtpd.detectors.sources import is_remote
from mtpd.digests import UNKNOWN
from mtpd.settings.experiment import ImagePipeline, Training

Digest = Callable[[Path], str | None]


def model_content(config: Config, digest: Digest) -> dict[str, Any]:
    """The model. Files of weights that parts of it start from count by their bytes.

    Args:
        config: The detector's own, with the experiment's options.
        digest: Gives the SHA-256 of a file; None where there is none.
    """
    content: dict[str, Any] = _with_digests(config.model.to_dict(), digest)
    return content


def inference_content(config: Config, pipeline: ImagePipeline, digest: Digest) -> dict[str, Any]:
    """What the outputs of a trained detector depend on, besides its weights."""
    content = {
        "model": model_content(config, digest),
        "custom_imports": config.get("custom_imports", {}).get("imports", []),
        **_set(pipeline, "size", "scale"),
    }
    if pipeline.size is None:
        content["test_pipeline"] = _pipeline(config, "test")
    return content


def training_content(
    config: Config, pipeline: ImagePipeline, training: Training, seed: int, digest: Digest
) -> dict[str, Any]:
    """What a training depends on, besides data and the weights that it starts from.

    Settings count as they take effect: one that only says what the config says anyway changes
    nothing.
    """
    loader = config.get("train_dataloader", {})
    dataset, repeats = innermost(loader.get("dataset", {}))
    content = {
        **inference_content(config, pipeline, digest),
        **_schedule(config, training),
        "seed": seed,
        "batch_size": training.batch_size or loader.get("batch_size", 2),
        "repeats": 1 if training.epochs else repeats,
        "custom_hooks": config.get("custom_hooks", []),
    }
    if pipeline.size is None:
        content["train_pipeline"] = dataset.get("pipeline", [])
    else:
        content |= _set(pipeline, "flip")
    if pipeline.augment is not None:
        content["augmentation"] = augmented(pipeline)
    return content


def _schedule(config: Config, training: Training) -> dict[str, Any]:
    """Optimiser, precision, epochs and learning rate as they take effect."""
    keys = ("train_cfg", "optim_wrapper", "param_scheduler")
    scheduled = Config({key: copy.deepcopy(config[key]) for key in keys if key in config})
    schedule_config(scheduled, str(config.filename), training)
    return {
        "epochs": scheduled.train_cfg.max_epochs,
        "optim_wrapper": scheduled.optim_wrapper,
        "param_scheduler": scheduled.param_scheduler,
        **_set(training, "lr_for_batch"),
    }


def _pipeline(config: Config, mode: str) -> Any:
    dataset, _ = innermost(config.get(f"{mode}_dataloader", {}).get("dataset", {}))
    return dataset.get("pipeline", [])


def _set(settings: ImagePipeline | Training, *keys: str) -> dict[str, Any]:
    """Those of the settings that are not their default: one that is new changes no content."""
    return settings.model_dump(mode="json", include=set(keys), exclude_defaults=True)


def _with_digests(part: Any, digest: Digest, is_head: bool = False) -> Any:
    """A part of a model config with the digest of every file of weights in place of its path.

    A head's number of classes is left out: it is the data's, whatever the config says.
    """
    if isinstance(part, list | tuple):
        return [_with_digests(item, digest, is_head) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        key: _weights(value, digest)
        if key in CHECKPOINTS and isinstance(value, str)
        else _with_digests(value, digest, key in HEADS)
        for key, value in part.items()
        if not (is_head and key == "num_classes")
    }


def _weights(value: str, digest: Digest) -> str:
    """Content of weights that a part starts from: an address stands for itself."""
    return value if is_remote(value) or not value else digest(Path(value)) or UNKNOWN
