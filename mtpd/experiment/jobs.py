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
from mtpd.selection.orders import Costs, Order, needs_costs, shuffled
from mtpd.zoo.sources import Remote, remote_weights


def strategy_of(run: Run) -> str | tuple[str, ...]:
    """What :func:`mtpd.selection.orders.choose_order` takes: a strategy's name, or the teachers."""
    return () if run.order == "none" else run.order


def members(experiment: Experiment, name: str) -> tuple[str, ...]:
    """Names of the chains of the run ``name``: the run's own, or one for each of its seeds."""
    seeds = experiment.runs[name].seeds
    return (name,) if seeds is None else tuple(f"{name}~{seed}" for seed in seeds)


def all_members(experiment: Experiment) -> list[str]:
    """Members of all runs."""
    return [member for name in experiment.runs for member in members(experiment, name)]


def run_of(experiment: Experiment, member: str) -> Run:
    """The run that ``member`` belongs to."""
    return experiment.runs[member.partition("~")[0]]


def seed_of(experiment: Experiment, member: str) -> int:
    """The random seed that the stages of ``member`` are trained from."""
    seed = member.partition("~")[2]
    return int(seed) if seed else experiment.seed


def teachers_at_most(experiment: Experiment, run: Run) -> int:
    """K of ``run``."""
    return run.max_teachers or experiment.ordering.max_teachers or len(experiment.teachers)


def random_order(experiment: Experiment, member: str, costs: Costs) -> Order:
    """Order of a ``member`` whose run is ordered at random; ``costs`` as for a strategy."""
    limit = teachers_at_most(experiment, run_of(experiment, member))
    seed = seed_of(experiment, member)
    return shuffled(experiment.student.name, experiment.teachers, costs, limit, seed)


def runs_by_costs(experiment: Experiment) -> list[str]:
    """Runs whose order depends on adaptation costs."""
    return [
        name
        for name, run in experiment.runs.items()
        if run.order != "random" and needs_costs(strategy_of(run))
    ]


def order_needs_costs(experiment: Experiment) -> bool:
    """Whether any run's order depends on adaptation costs."""
    return bool(runs_by_costs(experiment))


def chains_of_runs(experiment: Experiment, orders: Mapping[str, Sequence[str]]) -> dict[str, Chain]:
    """Chain of every member of every run, as far as its teachers are known.

    Args:
        experiment: The experiment.
        orders: Teachers by member, for those that the settings do not decide. Members that are
            missing there, and runs that take their budget from these, are left out.
    """
    teachers = {
        member: decided if decided is not None else orders.get(member)
        for member in all_members(experiment)
        for decided in [_decided_teachers(experiment, member)]
    }
    chains: dict[str, Chain] = {}
    for member, names in teachers.items():
        run = run_of(experiment, member)
        epochs = None
        if run.budget is not None:
            counted = teachers[members(experiment, run.budget)[0]]
            if counted is None:
                continue
            method = experiment.runs[run.budget].method
            each = experiment.stage_training(method, None).epochs
            assert each is not None
            epochs = each * max(1, len(counted))
            if epochs == experiment.stage_training(run.method, None).epochs:
                epochs = None
        if names is not None:
            stages = [Stage(teacher, epochs) for teacher in names] or [Stage(None, epochs)]
            seed = seed_of(experiment, member)
            # By the experiment's own seed it is the chain that other runs have.
            chains[member] = Chain(tuple(stages), None if seed == experiment.seed else seed)
    return chains


def _decided_teachers(experiment: Experiment, member: str) -> Sequence[str] | None:
    """Teachers of ``member`` where the settings alone say them; empty: it has none."""
    run = run_of(experiment, member)
    if run.order == "random":
        return random_order(experiment, member, {}).teachers
    strategy = strategy_of(run)
    return None if isinstance(strategy, str) else strategy


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
    files = [data.root / annotations_of(split) for split in splits]
    return [file for file in files if file.is_file()]


def annotations_of(split: CocoSplit | Path | str) -> Path:
    """What lists a split, relative to the data's root; a string names a list of Pascal VOC."""
    if isinstance(split, CocoSplit):
        return split.annotations
    return split if isinstance(split, Path) else Path("ImageSets", "Main", f"{split}.txt")


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
