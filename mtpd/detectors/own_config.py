"""A detector's own config, with the options and classes of an experiment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config, ConfigDict

from mtpd.data.dataset import Dataset
from mtpd.detectors.reading import read_config
from mtpd.errors import UserError
from mtpd.settings.experiment import Detector

CHECKPOINTS = ("checkpoint", "pretrained")
"""Keys of a model config whose value may be a file of weights, or an address."""
HEADS = ("bbox_head", "mask_head", "mask_iou_head", "point_head", "segm_head", "roi_head")
"""Parts of a model config that predict the data set's classes, or hold such parts."""


def base_config(name: str, detector: Detector, dataset: Dataset) -> Config:
    """The detector's own config with the experiment's ``options`` and the data set's classes.

    Raises:
        UserError: The config cannot be read or holds no model.
    """
    config = own_config(name, detector)
    with _fitting(name, detector):
        set_classes(config.model, len(dataset.classes))
    return config


def own_config(name: str, detector: Detector) -> Config:
    """The detector's own config with the experiment's ``options``.

    Raises:
        UserError: The config cannot be read or holds no model.
    """
    where = f"{name}: {detector.config}"
    try:
        config = read_config(detector.config)
    except Exception as error:  # a config is Python: anything can go wrong in it
        raise UserError(where, f"cannot be read ({error})", "correct the config") from error
    if "model" not in config:
        raise UserError(where, "defines no model", "give the config of a detector")
    for option in detector.options:
        first = option.partition(".")[0]
        if first not in config:
            known = ", ".join(sorted(config.keys()))
            raise UserError(
                f"{name}: options.{option}", f"the config has no '{first}'", f"it has: {known}"
            )
    with _fitting(name, detector):
        config.merge_from_dict(dict(detector.options))
    _expand_home(config.model)
    return config


def set_classes(model: ConfigDict, number: int) -> None:
    """Let every head of a model config that predicts classes predict so many."""
    for head in _heads(model):
        if "num_classes" in head:
            head.num_classes = number


def has_masks(model: ConfigDict) -> bool:
    """Whether the detector predicts instance masks."""
    return any("mask_head" in part for part in (model, *_heads(model)))


def _heads(model: ConfigDict) -> Iterator[ConfigDict]:
    """The heads of a model config that predict the data set's classes, depth first."""
    for key in HEADS:
        value = model.get(key)
        for head in value if isinstance(value, list) else [value]:
            if isinstance(head, dict):
                yield head
                yield from _heads(head)


def _expand_home(part: Any) -> None:
    """Put the home folder in place of ``~`` in the files that parts of a model start from."""
    if isinstance(part, list | tuple):
        for item in part:
            _expand_home(item)
    if not isinstance(part, dict):
        return
    for key, value in part.items():
        if key in CHECKPOINTS and isinstance(value, str):
            part[key] = os.path.expanduser(value)  # noqa: PTH111  an address would lose a slash
        else:
            _expand_home(value)


@contextmanager
def _fitting(name: str, detector: Detector) -> Iterator[None]:
    """Say in one line that the options make no config of a detector."""
    try:
        yield
    except (TypeError, KeyError, AttributeError, IndexError) as error:
        raise UserError(
            f"{name}: options", f"do not fit {detector.config} ({error})", "correct the options"
        ) from error
