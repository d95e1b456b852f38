"""Which jobs an experiment consists of, what each starts from, and which settings each depends on.

Snakemake's rules and the Python steps both ask here, so they cannot disagree. Everything is a
function of the settings alone; orders that only the data can decide are passed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtpd.detectors.sources import is_remote, may_be_pretrained, own_config_files
from mtpd.experiment.settings import CocoSplit, Experiment, Run, ShapesData, Training
from mtpd.selection.chains import Chain, Stage
from mtpd.selection.orders import needs_costs, needs_scores
from mtpd.zoo.sources import Remote, remote_weights


def strategy_of(run: Run) -> str | tuple[str, ...]:
    """What :func:`mtpd.selection.orders.choose_order` takes: a strategy's name, or the teachers."""
    return () if run.order == "none" else run.order


def is_decided(run: Run) -> bool:
    """Whether the settings alone say what the run's teachers are."""
    strategy = strategy_of(run)
    return not (needs_costs(strategy) or needs_scores(strategy))


def order_needs_costs(experiment: Experiment) -> bool:
    """Whether any run's order depends on adaptation costs."""
    return any(needs_costs(strategy_of(run)) for run in experiment.runs.values())


def chains_of_runs(experiment: Experiment, orders: Mapping[str, Sequence[str]]) -> dict[str, Chain]:
    """Chain of every run whose teachers are known.

    Args:
        experiment: The experiment.
        orders: Teachers of runs by name, for those that :func:`is_decided` denies. Runs that
            are missing there, and runs that take their budget from these, are left out.
    """
    chains: dict[str, Chain] = {}
    for name, run in sorted(experiment.runs.items(), key=lambda item: item[1].budget is not None):
        teachers = strategy_of(run) if is_decided(run) else orders.get(name)
        if teachers is None or (run.budget is not None and run.budget not in chains):
            continue
        epochs = None
        if run.budget is not None:
            epochs = _epochs_of(experiment, experiment.runs[run.budget].method, chains[run.budget])
            if epochs == experiment.stage_training(run.method, None).epochs:
                epochs = None
        stages = [Stage(teacher, epochs) for teacher in teachers] or [Stage(None, epochs)]
        chains[name] = Chain(tuple(stages))
    return {name: chains[name] for name in experiment.runs if name in chains}


def starts_afresh(experiment: Experiment, method: str, chain: Chain) -> bool:
    """Whether the last stage of ``chain`` starts without a trained student."""
    alone = chain.last.teacher is None
    return chain.parent is None and not alone and experiment.methods[method].start != "baseline"


def pairs(experiment: Experiment) -> list[tuple[str, str]]:
    """Every method with every teacher that it may be used with, whatever the orders will be."""
    found = [
        (run.method, teacher)
        for run in experiment.runs.values()
        if run.order != "none"
        for teacher in (experiment.teachers if isinstance(run.order, str) else run.order)
    ]
    return list(dict.fromkeys(found))


def existing_data_files(experiment: Experiment) -> list[Path]:
    """Files of the user's that the prepared data is made from; a change of one makes it anew.

    Those that are missing are left out: the data step says so in better words than a scheduler.
    """
    data = experiment.data
    if isinstance(data, ShapesData):
        return []
    splits = [split for split in (data.train, data.val, data.test) if split is not None]
    files = [
        data.root
        / (
            split.annotations
            if isinstance(split, CocoSplit)
            else Path("ImageSets", "Main", f"{split}.txt")
        )
        for split in splits
    ]
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
    return {"detector": _identity(experiment, name), "size": experiment.pipeline.size}


def feature_settings(experiment: Experiment, name: str) -> dict[str, Any]:
    """Settings that a feature cache depends on."""
    ordering = experiment.ordering
    return {
        **evaluation_settings(experiment, name),
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
    return experiment.detector(name).model_dump(
        mode="json", exclude={"training", "name", "start_from"}
    )


def _training(experiment: Experiment, training: Training) -> dict[str, Any]:
    return {
        "training": training.model_dump(mode="json"),
        "pipeline": experiment.pipeline.model_dump(mode="json", exclude={"workers"}),
        "seed": experiment.seed,
    }


def _losses(experiment: Experiment, method: str) -> list[dict[str, Any]]:
    return [loss.model_dump(mode="json") for loss in experiment.method(method).losses]


def _epochs_of(experiment: Experiment, method: str, chain: Chain) -> int:
    """Epochs of all stages of ``chain``."""
    own = experiment.stage_training(method, None).epochs
    epochs = [stage.epochs or own for stage in chain.stages]
    return sum(count for count in epochs if count is not None)
