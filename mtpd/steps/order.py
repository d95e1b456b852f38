"""The order of teachers of every run, with every cost and score that led to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtpd.errors import UserError
from mtpd.experiment.runs import (
    all_members,
    chains_of_runs,
    order_needs_costs,
    order_settings,
    random_order,
    run_of,
    strategy_of,
    teachers_at_most,
)
from mtpd.files import read_json, write_json
from mtpd.reporting.orders import order_as_json
from mtpd.selection.decisions import Costs, Order
from mtpd.selection.orders import choose_order
from mtpd.steps.context import Context
from mtpd.steps.provenance import provenance


def write_order(context: Context) -> None:
    """Write ``order.json``: each run's teachers and chain, with scores, costs and reasons."""
    experiment, layout = context.experiment, context.layout
    scores = {name: _score(context, name) for name in experiment.teachers}
    costs: dict[str, dict[str, float]] = {}
    if order_needs_costs(experiment):
        costs = read_json(layout.costs, "run the costs step first")["costs"]
    orders = {
        member: _order(context, member, scores, costs)
        for member in all_members(experiment)
        if run_of(experiment, member).order != "none"
    }
    chains = chains_of_runs(experiment, {name: order.teachers for name, order in orders.items()})
    runs: dict[str, Any] = {name: {"chain": str(chain)} for name, chain in chains.items()}
    for name, order in orders.items():
        runs[name] |= order_as_json(order)
    write_json(
        layout.order,
        {
            "student": experiment.student.name,
            "scores": scores,
            "costs": costs,
            "runs": runs,
            **provenance(experiment.seed, order_settings(experiment)),
        },
    )


def _order(context: Context, member: str, scores: Mapping[str, float], costs: Costs) -> Order:
    experiment = context.experiment
    run = run_of(experiment, member)
    if run.order == "random":
        return random_order(experiment, member, costs)
    limit = teachers_at_most(experiment, run)
    return choose_order(strategy_of(run), experiment.student.name, scores, costs, limit)


def _score(context: Context, name: str) -> float:
    path = context.layout.detector(name).metrics
    metrics = read_json(path, "run the evaluate step first")
    score = context.experiment.ordering.score
    try:
        return float(metrics["splits"]["val"][score])
    except (KeyError, TypeError) as error:
        raise UserError(
            path, f"has no {score} on val", "set ordering.score to a figure that the detectors have"
        ) from error
