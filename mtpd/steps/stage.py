"""One stage of a chain: the previous stage's student learns from one teacher."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from mtpd.chains import Chain
from mtpd.detectors.pretrained import without_pretrained
from mtpd.detectors.train import clear_states, run_training, write_config
from mtpd.experiment.runs import starts_afresh
from mtpd.layout import ModelFolder
from mtpd.steps.context import Context


def train_stage(context: Context, method: str, chain: Chain) -> None:
    """Train the last stage of ``chain`` and write the student alone."""
    folder = context.layout.stage(method, str(chain))
    if chain.parent is not None:
        clear_states(context.layout.stage(method, str(chain.parent)))
    experiment = context.experiment
    training = experiment.stage_training(method, chain.last.epochs)
    student = context.detector_config(experiment.student.name, training, chain.seed)
    write_config(student, folder.config)
    config = stage_config(context, method, chain, folder)
    run_training(config, folder, experiment.saving, stage_inputs(context, method, chain))


def stage_config(context: Context, method: str, chain: Chain, folder: ModelFolder) -> Config:
    """MMEngine config of the last stage of ``chain``.

    The student's own config, its model wrapped in a :class:`~mtpd.distillation.Distiller`; for a
    stage without teacher the student's config as it is, loading the previous student.
    """
    experiment = context.experiment
    settings = experiment.method(method)
    training = experiment.stage_training(method, chain.last.epochs)
    config = context.training_config(experiment.student.name, training, folder, chain.seed)
    previous = previous_student(context, method, chain)
    teacher = chain.last.teacher
    if teacher is None:
        config.model = without_pretrained(config.model)
        config.load_from = str(previous)
        return config
    teacher_training = experiment.detector_training(teacher)
    config.model = {
        "type": "Distiller",
        "student": config.model,
        "teacher": context.detector_config(teacher, teacher_training).model,
        "losses": [loss.model_dump() for loss in settings.losses],
        "teacher_weights": str(context.layout.detector(teacher).weights),
        "student_weights": None if previous is None else str(previous),
        "start": settings.start if previous is None else "weights",
    }
    config.custom_imports["imports"].append("mtpd.distillation")
    return config


def previous_student(context: Context, method: str, chain: Chain) -> Path | None:
    """Weights that the last stage of ``chain`` starts from; None if it starts afresh."""
    if chain.parent is not None:
        return context.layout.stage(method, str(chain.parent)).weights
    if starts_afresh(context.experiment, method, chain):
        return None
    return context.layout.detector(context.experiment.student.name).weights


def stage_inputs(context: Context, method: str, chain: Chain) -> list[Path]:
    """Weights that the last stage of ``chain`` depends on: student before, and teacher."""
    previous, teacher = previous_student(context, method, chain), chain.last.teacher
    found = [] if previous is None else [previous]
    return found if teacher is None else [*found, context.layout.detector(teacher).weights]
