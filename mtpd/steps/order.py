"""The order of teachers of every run, with every cost and score that led to it."""

from __future__ import annotations

import logging
from typing import Any

from mtpd.detectors.pipelines import test_image_size
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
from mtpd.selection.decisions import Order
from mtpd.selection.orders import choose_order
from mtpd.selection.pool import Pool
from mtpd.settings.experiment import Training
from mtpd.steps.context import Context
from mtpd.steps.provenance import provenance

log = logging.getLogger(__name__)


def write_order(context: Context) -> None:
    """Write ``order.json``: each run's teachers and chain, with scores, costs and reasons."""
    experiment, layout = context.experiment, context.layout
    pool = _pool(context)
    remarks = _remarks(context, pool)
    for remark in remarks:
        log.warning(remark)
    orders = {
        member: _order(context, member, pool)
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
            "student_score": pool.student_score,
            "scores": pool.scores,
            "costs": pool.costs,
            "intervals": pool.intervals,
            "remarks": remarks,
            "runs": runs,
            **provenance(experiment.seed, order_settings(experiment)),
        },
    )


def _pool(context: Context) -> Pool:
    """What the orders are chosen from, with costs if any of them needs them."""
    experiment, layout = context.experiment, context.layout
    measured: dict[str, Any] = {"costs": {}, "intervals": {}}
    if order_needs_costs(experiment):
        measured = read_json(layout.costs, "run the costs step first")
    return Pool(
        experiment.student.name,
        {name: _score(context, name) for name in experiment.teachers},
        measured["costs"],
        _score(context, experiment.student.name),
        measured["intervals"],
    )


def _remarks(context: Context, pool: Pool) -> list[str]:
    """What speaks against the measurements that the orders rest on."""
    remarks = [
        f"{name} has no higher score than the student: {100 * pool.scores[name]:.1f} against"
        f" {100 * (pool.student_score or 0):.1f} on val"
        for name in pool.no_stronger()
    ]
    experiment = context.experiment
    if experiment.pipeline.size is not None:
        return remarks
    sizes = {
        name: test_image_size(context.detector_config(name, Training()))
        for name in experiment.detectors
    }
    own = sizes.pop(experiment.student.name)
    for name, size in sizes.items():
        if size is not None and own is not None and size != own:
            remarks.append(
                f"{name} is measured on images of {size[0]}×{size[1]}, but teaches on those of"
                f" {pool.student}, {own[0]}×{own[1]}: its score and costs there may differ"
            )
    return remarks


def _order(context: Context, member: str, pool: Pool) -> Order:
    experiment = context.experiment
    run = run_of(experiment, member)
    if run.order == "random":
        return random_order(experiment, member, pool.costs)
    return choose_order(strategy_of(run), pool, teachers_at_most(experiment, run))


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
