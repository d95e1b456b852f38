"""The configs of trainings, and those that stand beside what was trained. Torch is not imported."""

from __future__ import annotations

import shutil

from mmengine.config import Config

from mtpd.chains import Chain
from mtpd.detectors.pretrained import without_pretrained
from mtpd.detectors.written_config import write_config
from mtpd.layout import ModelFolder
from mtpd.steps.context import Context


def detector_training_config(context: Context, name: str) -> Config:
    """MMEngine config that trains the detector ``name``; its own is written by the way."""
    training, folder = context.experiment.detector_training(name), context.layout.detector(name)
    config = context.detector_config(name, training)
    write_config(config, folder.config, moving=context.layout.root)
    context.set_training(config, name, training, folder)
    return config


def add_detector_configs(context: Context, name: str) -> None:
    """Write the configs beside weights that were taken from the store."""
    folder = context.layout.detector(name)
    _remove_curves(folder)
    write_config(detector_training_config(context, name), folder.training_config)


def stage_config(context: Context, method: str, chain: Chain) -> Config:
    """MMEngine config of the last stage of ``chain``; the student's own is written by the way.

    The student's own config, its model wrapped in a :class:`~mtpd.distillation.Distiller`; for a
    stage without teacher the student's config as it is, loading the previous student.
    """
    experiment, folder = context.experiment, context.layout.stage(method, str(chain))
    student = experiment.student.name
    training = experiment.stage_training(method, chain.last.epochs)
    config = context.detector_config(student, training, chain.seed)
    write_config(config, folder.config, moving=context.layout.root)
    context.set_training(config, student, training, folder, chain.seed)
    recipe = context.recipes.stage(method, chain)
    previous, weights = recipe.path("student"), recipe.path("teacher")
    teacher = chain.last.teacher
    if teacher is None:
        config.model = without_pretrained(config.model)
        config.load_from = str(previous)
        return config
    settings = experiment.method(method)
    config.model = {
        "type": "Distiller",
        "student": config.model,
        "teacher": context.detector_config(teacher, experiment.detector_training(teacher)).model,
        "losses": [loss.model_dump() for loss in settings.losses],
        "teacher_weights": str(weights),
        "student_weights": None if previous is None else str(previous),
        "start": settings.start if previous is None else "weights",
        "teacher_precision": settings.teacher.precision,
        "stochastic_depth": settings.teacher.stochastic_depth,
        "before_norm": settings.tap == "before_norm",
        "channels_last": settings.teacher.channels_last,
        "compile": settings.teacher.compile,
    }
    config.custom_imports["imports"].append("mtpd.distillation")
    wrapper = config.optim_wrapper
    if "constructor" in wrapper:
        wrapper.paramwise_cfg = {**wrapper.get("paramwise_cfg", {}), "of": wrapper.constructor}
        wrapper.constructor = "StudentOptimWrapperConstructor"
    return config


def add_stage_configs(context: Context, method: str, chain: Chain) -> None:
    """Write the configs beside a student that was taken from the store."""
    folder = context.layout.stage(method, str(chain))
    _remove_curves(folder)
    write_config(stage_config(context, method, chain), folder.training_config)


def _remove_curves(folder: ModelFolder) -> None:
    """TensorBoard's events of another training do not belong to weights of the store."""
    shutil.rmtree(folder.events, ignore_errors=True)
