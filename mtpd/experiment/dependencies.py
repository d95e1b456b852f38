"""What each job of an experiment depends on: settings, files of the user's, and files to fetch.

Snakemake's rules and the Python steps both ask here, so they cannot disagree. Everything is a
function of the settings and of the user's own files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mtpd.chains import Chain
from mtpd.detectors.sources import is_remote, may_be_pretrained, own_config_files
from mtpd.settings.experiment import Experiment, ShapesData, Training, annotations_of
from mtpd.zoo.sources import Remote, remote_weights


def existing_data_files(experiment: Experiment) -> list[Path]:
    """Files of the user's that the prepared data is made from; a change of one makes it anew.

    Those that are missing are left out: the data step says so in better words than a scheduler.
    """
    data = experiment.data
    if isinstance(data, ShapesData):
        return []
    splits = [split for split in (data.train, data.val, data.test) if split is not None]
    files = [data.root / annotations_of(split) for split in splits]
    return [file for file in files if file.is_file()]


def own_configs(experiment: Experiment, *names: str | None) -> list[Path]:
    """Config files of the named detectors that are the user's, those they build on included."""
    files = [
        file
        for name in names
        if name is not None
        for file in own_config_files(experiment.detector(name).config)
    ]
    return list(dict.fromkeys(files))


def remote_files(experiment: Experiment) -> dict[str, Remote]:
    """Weights of the experiment's detectors that have to be fetched, by name in the cache."""
    found = (remote_weights(experiment.detector(name)) for name in experiment.detectors)
    return {remote.file: remote for remote in found if remote is not None}


def starts_pretrained(experiment: Experiment, name: str) -> bool:
    """Whether parts of the detector may start from published weights when it is trained.

    A detector whose weights are given is not trained, unless it is the student of a method that
    starts afresh.
    """
    detector = experiment.detector(name)
    if detector.weights is not None or detector.start_from is not None:
        chosen = [experiment.methods[run.method].start for run in experiment.runs.values()]
        if name != experiment.student.name or set(chosen) <= {"baseline"}:
            return False
    return may_be_pretrained(detector.config) or any(
        is_remote(value) for value in _strings(detector.options)
    )


def _strings(value: Any) -> Iterator[str]:
    """All strings in nested dictionaries and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(part)


def data_settings(experiment: Experiment) -> dict[str, Any]:
    """Settings that the prepared data depends on."""
    return experiment.data.model_dump(mode="json")


def detector_settings(experiment: Experiment, name: str) -> dict[str, Any]:
    """Settings that a detector trained without teacher depends on."""
    return {
        "detector": _identity(experiment, name),
        "start_from": experiment.detector(name).start_from,
        **_training(experiment, experiment.detector_training(name)),
    }


def pretrained_settings(experiment: Experiment, name: str) -> dict[str, Any]:
    """Settings that the published weights of a detector's parts depend on."""
    detector = experiment.detector(name)
    return {"config": detector.config, "options": detector.options}


def stage_settings(experiment: Experiment, method: str, chain: Chain) -> dict[str, Any]:
    """Settings that the last stage of ``chain`` depends on; what it starts from is an input."""
    teacher = chain.last.teacher
    settings: dict[str, Any] = {
        "student": _identity(experiment, experiment.student.name),
        **_training(experiment, experiment.stage_training(method, chain.last.epochs)),
    }
    if chain.seed is not None:
        settings["seed"] = chain.seed
    if teacher is not None:
        chosen = experiment.methods[method]
        settings["teacher"] = _identity(experiment, teacher)
        settings["losses"] = _losses(experiment, method)
        settings["start"] = chosen.start if chain.parent is None else "baseline"
    return settings


def pair_settings(experiment: Experiment, method: str) -> dict[str, Any]:
    """Settings that the check of a teacher depends on; the two detectors are inputs."""
    return {
        "losses": _losses(experiment, method),
        "training": experiment.stage_training(method, None).model_dump(mode="json"),
    }


def evaluation_settings(experiment: Experiment, name: str) -> dict[str, Any]:
    """Settings that the evaluation of a detector with the config of ``name`` depends on."""
    return {
        **_inference(experiment, name),
        "latency_ms": experiment.detector(name).latency_ms,
    }


def feature_settings(experiment: Experiment, name: str) -> dict[str, Any]:
    """Settings that a feature cache depends on."""
    ordering = experiment.ordering
    return {
        **_inference(experiment, name),
        "images": ordering.images,
        "points": ordering.points,
        "seed": experiment.seed,
    }


def order_settings(experiment: Experiment) -> dict[str, Any]:
    """Settings that the orders, and the chains of the runs, depend on."""
    runs = experiment.runs
    counted = {run.budget for run in runs.values()} | {n for n, run in runs.items() if run.budget}
    return {
        "max_teachers": experiment.ordering.max_teachers,
        "score": experiment.ordering.score,
        "seed": experiment.seed,
        "runs": {
            name: run.model_dump(mode="json", exclude={"method"}) for name, run in runs.items()
        },
        "epochs": {
            name: experiment.stage_training(runs[name].method, None).epochs
            for name in runs
            if name in counted
        },
    }


def _identity(experiment: Experiment, name: str) -> dict[str, Any]:
    """What a detector is, whatever it was trained by."""
    exclude = {"training", "name", "latency_ms", "start_from", "trusted"}
    return experiment.detector(name).model_dump(mode="json", exclude=exclude)


def _inference(experiment: Experiment, name: str) -> dict[str, Any]:
    """What a trained detector's outputs depend on."""
    pipeline = experiment.pipeline
    return {
        "detector": _identity(experiment, name),
        "size": pipeline.size,
        "scale": pipeline.scale,
    }


def _training(experiment: Experiment, training: Training) -> dict[str, Any]:
    return {
        "training": training.model_dump(mode="json"),
        "pipeline": experiment.pipeline.model_dump(mode="json", exclude={"workers"}),
        "seed": experiment.seed,
    }


def _losses(experiment: Experiment, method: str) -> list[dict[str, Any]]:
    return [loss.model_dump(mode="json") for loss in experiment.method(method).losses]
