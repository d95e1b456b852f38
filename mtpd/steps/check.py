"""The checks before training: that every detector can be trained, and can teach the student."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from mmdet.registry import DATASETS, MODELS, OPTIMIZERS, PARAM_SCHEDULERS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mtpd.detectors.config import coco_dataset, has_masks
from mtpd.detectors.feature_maps import Level, fpn_levels, pair_levels
from mtpd.detectors.weights import load_weights
from mtpd.errors import UserError
from mtpd.files import read_json, write_json
from mtpd.steps.context import Context
from mtpd.steps.train import check_classes


def check_detector(context: Context, name: str) -> None:
    """Write ``check.json``: parameters and levels of the detector ``name``.

    Everything that its training needs has worked by then: the model, its weights if they are
    given, the schedule, and the way of an image to it.

    Raises:
        UserError: Something of that does not work.
    """
    init_default_scope("mmdet")
    levels, parameters = _checked(context, name)
    write_json(
        context.layout.detector(name).check,
        {"parameters": parameters, "levels": [asdict(level) for level in levels]},
    )


def check_pair(context: Context, teacher: str) -> None:
    """Write ``pair.json``: the strides of the levels by which ``teacher`` teaches the student.

    Raises:
        UserError: They share none.
    """
    student = context.experiment.student.name
    levels = {
        name: [
            Level(**level)
            for level in read_json(context.layout.detector(name).check, "run the check step first")[
                "levels"
            ]
        ]
        for name in (student, teacher)
    }
    paired = pair_levels(levels[student], levels[teacher], (student, teacher))
    strides = [levels[student][own].stride for own, _ in paired]
    write_json(context.layout.detector(teacher).pair, {"strides": strides})


def _checked(context: Context, name: str) -> tuple[tuple[Level, ...], int]:
    """Levels and number of parameters of the detector, after all that its training needs worked."""
    detector = context.experiment.detector(name)
    training = context.experiment.detector_training(name)
    config = context.training_config(name, training, context.layout.detector(name))
    _check_masks(context, name, config)
    with _explained(
        f"{name}: {detector.config}", "the detector does not build", "mend its config or options"
    ):
        model = MODELS.build(config.model)
        levels = fpn_levels(model)
    if detector.weights is not None:
        classes = load_weights(model, detector.weights, detector.sha256, detector.trusted)
        check_classes(detector.weights, name, classes, context.dataset.classes)
    kind = config.optim_wrapper.optimizer.get("type")
    if not isinstance(kind, str) or OPTIMIZERS.get(kind) is None:
        remedy = "use one of torch.optim, such as SGD or AdamW"
        raise UserError(f"{name}: training.optimizer.type", f"no optimiser is '{kind}'", remedy)
    with _explained(f"{name}: training", "the schedule does not build", "mend its settings"):
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
        for scheduler in config.param_scheduler:
            PARAM_SCHEDULERS.build({**scheduler, "optimizer": wrapper.optimizer})
    for mode in ("train", "test"):
        with _explained(
            f"{name}: pipeline", f"no image passes the {mode} pipeline", "set pipeline.size"
        ):
            pipeline = config[f"{mode}_pipeline"]
            DATASETS.build(coco_dataset(context.dataset, "val", pipeline))[0]
    return levels, sum(p.numel() for p in model.parameters())


def _check_masks(context: Context, name: str, config: Config) -> None:
    """Masks that are predicted must be in the data.

    Raises:
        UserError: They are not.
    """
    if has_masks(config.model) and not context.dataset.has_masks:
        raise UserError(
            f"{name}: {context.experiment.detector(name).config}",
            "predicts instance masks, and the data set has none for every box",
            "choose a detector of boxes alone, or add the masks",
        )


@contextmanager
def _explained(where: str, problem: str, remedy: str) -> Iterator[None]:
    """Say in one line what a library raised on a user's settings, whatever it raises."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(where, f"{problem} ({type(error).__name__}: {error})", remedy) from error
