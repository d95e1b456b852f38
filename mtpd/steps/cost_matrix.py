"""The figure of an experiment's adaptation costs and of the orders that they led to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mtpd.chains import Chain
from mtpd.experiment.orders import known_chains
from mtpd.experiment.runs import members
from mtpd.layout import Layout
from mtpd.overview.records import read_costs
from mtpd.reporting.cost_matrix import draw_cost_matrix
from mtpd.settings.experiment import Experiment


def write_cost_matrix(
    experiment: Experiment,
    layout: Layout,
    runs: Iterable[str],
    title: str,
    paths: Sequence[Path],
) -> None:
    """Draw the costs, as far as they are known, with the teachers of ``runs``.

    Raises:
        UserError: ``costs.json`` or ``order.json`` is not what its step writes.
    """
    chains = known_chains(experiment, layout)
    orders: dict[str, Sequence[str] | None] = {}
    for run in runs:
        teachers = {
            member: _teachers(chains[member]) if member in chains else None
            for member in members(experiment, run)
        }
        # Members of a run differ where their order is random.
        same = len(set(teachers.values())) == 1
        orders |= {run: next(iter(teachers.values()))} if same else teachers
    found = read_costs(layout)
    costs, intervals = (found.costs, found.intervals) if found else (None, {})
    draw_cost_matrix(costs, intervals, experiment.student.name, orders, title, paths)


def _teachers(chain: Chain) -> tuple[str, ...]:
    return tuple(stage.teacher for stage in chain.stages if stage.teacher is not None)
