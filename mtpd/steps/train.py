"""Detectors without teacher: trained here, or taken over from weights that the user has."""

from __future__ import annotations

import logging
from pathlib import Path

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mtpd.detectors.pretrained import without_pretrained
from mtpd.detectors.weights import load_start, load_weights, save_weights
from mtpd.detectors.written_config import write_config
from mtpd.errors import UserError
from mtpd.experiment.recipes import Task
from mtpd.files import write_json
from mtpd.layout import ModelFolder
from mtpd.steps.configs import detector_training_config
from mtpd.steps.context import Context
from mtpd.zoo.sources import Weights

logger = logging.getLogger(__name__)


def train_detector(context: Context, name: str) -> None:
    """Write weights, config and history of the detector ``name``.

    Raises:
        UserError: Given weights are not there, or do not fit the config or the data's classes.
    """
    folder, config = context.layout.detector(name), detector_training_config(context, name)
    given = context.given_weights(name)
    if given is None:
        context.train(config, Task("train", (name,)), folder)
    elif context.experiment.detector(name).weights is None:
        _train_from(context, name, config, folder, given)
    else:
        _take_over(context, name, config, folder, given)


def _train_from(
    context: Context, name: str, config: Config, folder: ModelFolder, start: Weights
) -> None:
    """Train on from given weights, as far as they fit."""
    init_default_scope("mmdet")
    config.model = without_pretrained(config.model)
    model = MODELS.build(config.model)
    classes = context.dataset.classes
    left = load_start(model, classes, start.path, start.sha256, start.trusted)
    if left:
        logger.warning("%s: left out, being for other classes: %s", name, ", ".join(left))
    # MMEngine loads it as it does any checkpoint, and what it lacks is initialised.
    save_weights(folder.start, model, classes, left)
    config.load_from = str(folder.start)
    context.train(config, Task("train", (name,)), folder)
    folder.start.unlink(missing_ok=True)


def _take_over(
    context: Context, name: str, config: Config, folder: ModelFolder, weights: Weights
) -> None:
    """Write given weights as if they had been trained here."""
    init_default_scope("mmdet")
    model = MODELS.build(config.model)
    classes = load_weights(model, weights.path, weights.sha256, weights.trusted)
    check_classes(weights.path, name, classes, context.dataset.classes)
    write_config(config, folder.training_config)
    write_json(folder.history, {"epochs": []})
    save_weights(folder.weights, model, context.dataset.classes)


def check_classes(
    weights: Path, name: str, found: tuple[str, ...] | None, expected: tuple[str, ...]
) -> None:
    """Refuse weights that record other class names than the data set has.

    Weights that record none are taken with a remark: classes in another order go unnoticed.

    Raises:
        UserError: They do.
    """
    if found is None:
        logger.warning(
            "%s: %s records no class names; by their number it fits, but whether its outputs "
            "are %s in this order is unknown",
            name, weights, _listed(expected),
        )  # fmt: skip
    if found is not None and found != expected:
        raise UserError(
            weights,
            f"{name} was trained for other classes ({_listed(found)})",
            f"give weights for the data set's classes ({_listed(expected)})",
        )


def _listed(classes: tuple[str, ...]) -> str:
    """Class names, cut short where there are many."""
    shown = ", ".join(classes[:5])
    return f"{len(classes)}: {shown}{', …' if len(classes) > 5 else ''}"
