"""One stage of a chain: the previous stage's student learns from one teacher."""

from __future__ import annotations

from mmengine.config import Config

from mtpd.detectors.config import without_pretrained
from mtpd.detectors.train import run_training, write_config
from mtpd.experiment.jobs import starts_afresh
from mtpd.layout import ModelFolder
from mtpd.selection.chains import Chain
from mtpd.steps.context import Context


def train_stage(context: Context, method: str, chain: Chain) -> None:
    """Train the last stage of ``chain`` and write the student alone."""
    folder = context.layout.stage(method, str(chain))
    experiment = context.experiment
    training = experiment.stage_training(method, chain.last.epochs)
    write_config(context.detector_config(experiment.student.name, training), folder.config)
    run_training(stage_config(context, method, chain, folder), folder)


def stage_config(context: Context, method: str, chain: Chain, folder: ModelFolder) -> Config:
    """MMEngine config of the last stage of ``chain``.

    The student's own config, its model wrapped in a :class:`~mtpd.distillation.Distiller`; for a
    stage without teacher the student's config as it is, loading the previous student.
    """
    experiment = context.experiment
    settings = experiment.method(method)
    training = experiment.stage_training(method, chain.last.epochs)
    config = context.training_config(experiment.student.name, training, folder)
    parent = chain.parent
    previous = (
        context.layout.detector(experiment.student.name)
        if parent is None
        else context.layout.stage(method, str(parent))
    )
    afresh = starts_afresh(experiment, method, chain)
    teacher = chain.last.teacher
    if teacher is None:
        config.model = without_pretrained(config.model)
        config.load_from = str(previous.weights)
        return config
    teacher_training = experiment.detector_training(teacher)
    config.model = {
        "type": "Distiller",
        "student": config.model,
        "teacher": context.detector_config(teacher, teacher_training).model,
        "losses": [loss.model_dump() for loss in settings.losses],
        "teacher_weights": str(context.layout.detector(teacher).weights),
        "student_weights": None if afresh else str(previous.weights),
        "start": settings.start if afresh else "weights",
    }
    config.custom_imports["imports"].append("mtpd.distillation")
    return config
