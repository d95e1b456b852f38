"""Detectors without teacher: trained here, or taken over from weights that the user has."""

from __future__ import annotations

from pathlib import Path

from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mtpd.detectors.hooks import detector_of
from mtpd.detectors.train import run_training, write_config
from mtpd.detectors.weights import load_weights, save_weights
from mtpd.errors import UserError
from mtpd.files import write_json
from mtpd.steps.context import Context


def train_detector(context: Context, name: str) -> None:
    """Write weights, config and history of the detector ``name``.

    Raises:
        UserError: Given weights do not fit the config or the data set's classes.
    """
    detector = context.experiment.detector(name)
    training = context.experiment.detector_training(name)
    folder = context.layout.detector(name)
    config = context.training_config(name, training, folder)
    write_config(context.detector_config(name, training), folder.config)
    if detector.weights is None:
        run_training(config, folder, context.experiment.saving)
        return
    init_default_scope("mmdet")
    model = MODELS.build(config.model)
    classes = load_weights(model, detector.weights, detector.sha256, detector.trusted)
    check_classes(detector.weights, name, classes, context.dataset.classes)
    write_config(config, folder.training_config)
    write_json(folder.history, {"epochs": []})
    save_weights(folder.weights, detector_of(model), context.dataset.classes)


def check_classes(
    weights: Path, name: str, found: tuple[str, ...] | None, expected: tuple[str, ...]
) -> None:
    """Refuse weights that record other class names than the data set has.

    Raises:
        UserError: They do.
    """
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
