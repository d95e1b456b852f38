"""Which chains of stages the runs of an experiment are, and what each of them starts from.

Snakemake's rules and the Python steps both ask here, so they cannot disagree. Everything is a
function of the settings alone; orders that only the data can decide are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtpd.chains import Chain, Stage
from mtpd.selection.decisions import Order
from mtpd.selection.orders import needs_costs, shuffled
from mtpd.selection.pool import Costs
from mtpd.settings.experiment import Experiment, Run


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


def has_undecided_orders(experiment: Experiment) -> bool:
    """Whether any run's chain is not known from the settings alone."""
    return len(chains_of_runs(experiment, {})) < len(all_members(experiment))


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
    return chain.parent is None and not alone and experiment.method(method).start != "baseline"


def pairs(experiment: Experiment) -> list[tuple[str, str]]:
    """Every method with every teacher that it may be used with, whatever the orders will be."""
    found = [
        (run.method, teacher)
        for run in experiment.runs.values()
        if run.order != "none"
        for teacher in (experiment.teachers if isinstance(run.order, str) else run.order)
    ]
    return list(dict.fromkeys(found))


def order_settings(experiment: Experiment) -> dict[str, Any]:
    """Settings that the orders, and the chains of the runs, depend on."""
    runs = experiment.runs
    counted = {run.budget for run in runs.values()} | {n for n, run in runs.items() if run.budget}
    settings: dict[str, Any] = {
        "max_teachers": experiment.ordering.max_teachers,
        "score": experiment.ordering.score,
        "seed": experiment.seed,
        "runs": {
            name: run.model_dump(mode="json", exclude={"method"}, exclude_defaults=True)
            for name, run in runs.items()
        },
        "epochs": {
            name: experiment.stage_training(runs[name].method, None).epochs
            for name in runs
            if name in counted
        },
    }
    if any(run.order in ("bgs", "reversed") for run in runs.values()):
        settings["candidates of bgs"] = "stronger than the student and nearer to the head"
    return settings
