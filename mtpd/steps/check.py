"""The check before any training: every detector is built, and every pair that will be distilled."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from mtpd.detectors.feature_maps import Level, fpn_levels, pair_levels
from mtpd.detectors.weights import load_weights
from mtpd.distillation.losses import build_loss
from mtpd.errors import UserError
from mtpd.files import write_json
from mtpd.steps.context import Context
from mtpd.steps.train import check_classes


def check_experiment(context: Context) -> None:
    """Write ``check.json``: levels and parameters of every detector, and the levels each pair uses.

    Raises:
        UserError: A detector does not build, its weights do not fit, it was trained for other
            classes, or a teacher's levels do not pair with the student's.
    """
    experiment = context.experiment
    init_default_scope("mmdet")
    levels: dict[str, tuple[Level, ...]] = {}
    detectors: dict[str, Any] = {}
    for name in experiment.detectors:
        model = _built(context, name)
        levels[name] = fpn_levels(model)
        detectors[name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "levels": [asdict(level) for level in levels[name]],
        }
    student = experiment.student.name
    pairs = {}
    for teacher in experiment.teachers:
        paired = pair_levels(levels[student], levels[teacher], (student, teacher))
        pairs[teacher] = [levels[student][own].stride for own, _ in paired]
        channels = (
            [levels[student][own].channels for own, _ in paired],
            [levels[teacher][other].channels for _, other in paired],
        )
        for method in experiment.methods.values():
            for loss in method.losses:
                build_loss(loss, *channels)
    write_json(context.layout.check, {"detectors": detectors, "paired_strides": pairs})


def _built(context: Context, name: str) -> nn.Module:
    """The detector, with the weights that the experiment gives it, if any."""
    detector = context.experiment.detector(name)
    training = context.experiment.detector_training(name)
    folder = context.layout.detector(name)
    # With its schedule, so that what is missing there is said now and not after hours.
    config = context.training_config(name, training, folder)
    try:
        model = MODELS.build(config.model)
    except Exception as error:  # whatever a model's constructor may raise
        raise UserError(
            f"{name}: {detector.config}",
            f"the detector does not build ({error})",
            "mend its config or its options",
        ) from error
    if detector.weights is not None:
        classes = load_weights(model, detector.weights, detector.sha256, detector.trusted)
        check_classes(detector.weights, name, classes, context.dataset.classes)
    return model
