"""The checks before training: that every detector can be trained, and can teach the student."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from math import ceil
from pathlib import Path

from mmdet.registry import DATASETS, MODELS, OPTIMIZERS, PARAM_SCHEDULERS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mtpd.detectors.datasets import coco_dataset
from mtpd.detectors.feature_maps import last_convolutions
from mtpd.detectors.own_config import has_masks
from mtpd.detectors.trial import try_a_step
from mtpd.detectors.unused import unused
from mtpd.detectors.weights import load_start, load_weights
from mtpd.distillation.losses import build_loss
from mtpd.distillation.losses.base import DistillationLoss
from mtpd.distillation.pairing import Anatomy, anatomy_of, pair
from mtpd.errors import UserError
from mtpd.files import read_json, write_json
from mtpd.settings.machine import gpus_here
from mtpd.steps.context import Context
from mtpd.steps.train import check_classes

logger = logging.getLogger(__name__)

WITHOUT_AMP = ("AutoAssignHead",)
"""Heads whose own loss mixes float16 and float32 tensors in a way that torch refuses."""


def check_detector(context: Context, name: str) -> None:
    """Write ``check.json``: parameters and anatomy of the detector ``name``.

    Everything that its training needs has worked by then: the model, its weights if they are
    given, the schedule, and the way of an image to it.

    Raises:
        UserError: Something of that does not work.
    """
    init_default_scope("mmdet")
    anatomy, parameters = _checked(context, name)
    write_json(context.layout.detector(name).check, {"parameters": parameters, **asdict(anatomy)})


def check_pair(context: Context, method: str, teacher: str) -> None:
    """Write how ``teacher`` teaches the student by ``method``: strides of the levels, and losses.

    Raises:
        UserError: They have no level in common, or a loss cannot work between them.
    """
    experiment, layout = context.experiment, context.layout
    names = experiment.student.name, teacher
    student, other = (_anatomy(layout.detector(name).check) for name in names)
    paired = pair(student, other, names)
    training = experiment.stage_training(method, None)
    config = context.training_config(names[0], training, layout.detector(names[0]))
    _check_precision(context, f"methods.{method}", config)
    _check_schedule(f"methods.{method}", config, nn.Linear(1, 1), student.head)
    losses = [build_loss(settings, paired) for settings in experiment.method(method).losses]
    _check_reading(f"methods.{method}", losses, other, config.train_dataloader.batch_size)
    if experiment.method(method).tap == "before_norm":
        for name in names:
            _check_tap(context, method, name)
    write_json(
        layout.pair(method, teacher),
        {
            "strides": paired.strides,
            "student_levels": paired.student.levels,
            "teacher_levels": paired.teacher.levels,
            "losses": [loss.settings.model_dump() for loss in losses],
        },
    )


def _check_reading(
    where: str, losses: list[DistillationLoss], teacher: Anatomy, batch_size: int
) -> None:
    """The release of PGD gives an image of GFL the stride of the level of its own number.

    Raises:
        UserError: There are more images on a GPU than levels, or another loss needs the boxes.
    """
    released = any(getattr(loss.settings, "reading", "text") == "release" for loss in losses)
    if not released or teacher.head != "GFLHead":
        return
    others = [loss.settings.model_dump()["type"] for loss in losses if loss.needs_predictions]
    if others:
        raise UserError(
            f"{where}: reading",
            f"release decodes GFL's boxes by the image's number, and {others[0]} needs true boxes",
            f"set reading to text, or leave out {others[0]}",
        )
    levels = len(teacher.levels)
    if batch_size > levels:
        raise UserError(
            f"{where}: reading",
            f"release takes at most {levels} images on one GPU with GFL, not {batch_size}",
            f"set training.batch_size to at most {levels}, or reading to text",
        )


def _check_tap(context: Context, method: str, name: str) -> None:
    """The neck of a detector has maps before its norm.

    Raises:
        UserError: It has not.
    """
    try:
        last_convolutions(MODELS.build(context.recipes.config(name).model.neck))
    except UserError as error:
        where = f"methods.{method}.tap: {name}: {error.where}"
        raise UserError(where, error.problem, error.remedy) from error


def _anatomy(path: Path) -> Anatomy:
    """What :func:`check_detector` wrote.

    Raises:
        UserError: It was not, or by another version.
    """
    raw = read_json(path, "run the check step first")
    try:
        return Anatomy.from_json(raw)
    except (KeyError, TypeError) as error:
        raise UserError(
            path, "was written by another version", "delete it; it is made again"
        ) from error


def _checked(context: Context, name: str) -> tuple[Anatomy, int]:
    """Anatomy and number of parameters, after all that the detector's training needs worked."""
    detector = context.experiment.detector(name)
    training = context.experiment.detector_training(name)
    config = context.training_config(name, training, context.layout.detector(name))
    if detector.weights is None:
        _say_unused(context, name, config.train_dataloader.batch_size)
        _check_precision(context, name, config)
    _check_annotations(context, name, config)
    with _explained(
        f"{name}: {detector.config}",
        "the detector cannot be built",
        "correct its config or options",
    ):
        model = MODELS.build(config.model)
        anatomy = anatomy_of(model)
    given = context.given_weights(name)
    if detector.weights is not None and given is not None:
        classes = load_weights(model, given.path, given.sha256, given.trusted)
        check_classes(given.path, name, classes, context.dataset.classes)
    elif given is not None:
        load_start(model, context.dataset.classes, given.path, given.sha256, given.trusted)
    if detector.weights is None:
        _check_schedule(name, config, model, anatomy.head)
    for mode in ("train", "test"):
        where, problem = f"{name}: pipeline", f"the {mode} pipeline fails on an image"
        with _explained(where, problem, "correct it in its config, or set pipeline.size"):
            pipeline = config[f"{mode}_pipeline"]
            DATASETS.build(coco_dataset(context.dataset, "val", pipeline))[0]
    if detector.weights is None:
        _check_step(context, name, config, model)
    return anatomy, sum(p.numel() for p in model.parameters())


def _say_unused(context: Context, name: str, batch_size: int) -> None:
    """Name what the detector's config says and has no effect here."""
    experiment = context.experiment
    images = batch_size * max(1, experiment.resources.train.gpus)
    found = unused(
        context.recipes.config(name),
        experiment.detector(name).options,
        experiment.detector_training(name),
        images,
        experiment.pipeline.size is None,
    )
    if gpus_here() and not experiment.resources.train.gpus:
        found.append("a GPU is here, and resources.train.gpus is 0: training will not use it")
    for sentence in found:
        logger.warning("%s: %s", name, sentence)


def _check_precision(context: Context, where: str, config: Config) -> None:
    """Mixed precision needs a GPU.

    Raises:
        UserError: There is to be none.
    """
    is_amp = config.optim_wrapper.type == "AmpOptimWrapper"
    if is_amp and context.experiment.resources.train.gpus == 0:
        raise UserError(
            f"{where}: training.amp",
            "mixed precision needs a GPU, and resources.train.gpus is 0",
            "set gpus, or amp to false",
        )


def _check_step(context: Context, name: str, config: Config, model: nn.Module) -> None:
    """One step of the training works, from images to gradients.

    Raises:
        UserError: It does not.
    """
    where = f"{name}: {context.experiment.detector(name).config}"
    with _explained(where, "a training step fails", "correct its config or options"):
        tried = try_a_step(model, config, context.dataset)
    if not tried:
        logger.warning("%s: no training step was tried: val has no image with boxes", name)
    elif _last_batch(context, config) == 1:
        with _explained(
            where,
            "the last batch of an epoch is one image, on which a training step fails",
            "take another training.batch_size",
        ):
            try_a_step(model, config, context.dataset, 1)


def _last_batch(context: Context, config: Config) -> int:
    """Images of the last batch of an epoch, on each GPU."""
    images = DATASETS.build(config.train_dataloader.dataset.dataset)
    here = ceil(len(images) / max(1, context.experiment.resources.train.gpus))
    batch = int(config.train_dataloader.batch_size)
    return here % batch or batch


def _check_schedule(where: str, config: Config, model: nn.Module, head: str) -> None:
    """Optimiser and learning-rate schedule build, and suit the head.

    Raises:
        UserError: They do not.
    """
    if head in WITHOUT_AMP and config.optim_wrapper.type == "AmpOptimWrapper":
        raise UserError(
            f"{where}: training.amp",
            f"MMDetection's {head} does not train in mixed precision",
            "set it to false",
        )
    kind = config.optim_wrapper.optimizer.get("type")
    if not isinstance(kind, str) or OPTIMIZERS.get(kind) is None:
        remedy = "use one of those in torch.optim, such as SGD or AdamW"
        raise UserError(
            f"{where}: training.optimizer.type", f"there is no optimiser '{kind}'", remedy
        )
    # Mixed precision is no matter of the schedule, and its wrapper builds only beside a GPU.
    plain = {**config.optim_wrapper, "type": "OptimWrapper"}
    for key in ("loss_scale", "dtype", "use_fsdp"):
        plain.pop(key, None)
    with _explained(f"{where}: training", "the schedule cannot be built", "correct its settings"):
        wrapper = build_optim_wrapper(model, plain)
        # Schedules of epochs may be counted in iterations: how many does not matter here.
        given = {"optimizer": wrapper.optimizer, "epoch_length": 100}
        for scheduler in config.param_scheduler:
            PARAM_SCHEDULERS.build(scheduler, default_args=given)


def _check_annotations(context: Context, name: str, config: Config) -> None:
    """What the detector learns from must be in the data.

    Raises:
        UserError: It is not.
    """
    detector = context.experiment.detector(name)
    where = f"{name}: {detector.config}"
    if has_masks(config.model) and not context.dataset.has_masks:
        raise UserError(
            where,
            f"predicts instance masks, and {context.dataset.unmasked or 'not every box has one'}",
            "choose a detector of boxes alone, or add the masks",
        )
    if detector.weights is None and config.model.get("roi_head", {}).get("semantic_head"):
        raise UserError(
            where,
            "needs semantic segmentation maps to train, which no data set has here",
            "give its weights, or set options: {model.roi_head.semantic_head: null}",
        )


@contextmanager
def _explained(where: str, problem: str, remedy: str) -> Iterator[None]:
    """Say in one line what a library raised on a user's settings, whatever it raises."""
    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        remedy = "install what is missing in the environment of this program"
        raise UserError(where, f"{problem} ({error})", remedy) from error
    except Exception as error:
        said = str(error) or f"in {_place(error)}"
        raise UserError(where, f"{problem} ({type(error).__name__}: {said})", remedy) from error


def _place(error: Exception) -> str:
    """File, line and function that raised ``error``."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}, line {last.lineno}, {last.name}"
