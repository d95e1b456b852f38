"""The order of the teachers and why: from what ``order.json`` and ``costs.json`` say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from mtpd.overview.records import Costs
from mtpd.reporting.page.content import Cell, Column, OrderOfRun, Step, Table

DASH = "–"
_CANDIDATES = (
    Column("teacher"),
    Column("cost to the one it would teach before", True),
    Column("95 % interval"),
    Column("cost from the student", True),
    Column("verdict"),
)


def matrix_table(costs: Costs, student: str, run: str, teachers: Sequence[str]) -> Table:
    """The costs, the student first; cells that an order leads over bear their step's number.

    Args:
        costs: Normalised.
        student: Its name.
        run: That ``teachers`` are the order of.
        teachers: First to last; may be empty.
    """
    names = [student, *(name for name in costs.costs if name != student)]
    steps = {pair: number for number, pair in enumerate(pairwise((student, *teachers)), start=1)}
    rows = []
    for source in names:
        row = [Cell(source)]
        for target in names:
            value = costs.costs.get(source, {}).get(target)
            step = steps.get((source, target))
            frames = ((step, run),) if step is not None else ()
            if source == target or value is None:
                row.append(Cell("" if source == target else DASH, frames=frames))
                continue
            ends = costs.intervals.get(source, {}).get(target)
            note = "" if ends is None else f"± {(ends[1] - ends[0]) / 2:.2f}"
            share = min(1.0, max(0.0, value))
            row.append(Cell(f"{value:.2f}", value, share=share, note=note, frames=frames))
        rows.append(tuple(row))
    return Table("costs", (Column(""), *(Column(name, True) for name in names)), tuple(rows))


def orders_of(order: Mapping[str, Any], runs: Sequence[str]) -> tuple[OrderOfRun, ...]:
    """The orders of ``runs`` with the steps that decided them."""
    found = []
    for run in runs:
        raw = order["runs"].get(run, {})
        if "trace" in raw:
            steps = tuple(_step(step) for step in raw["trace"])
            found.append(OrderOfRun(run, _strategy(raw["strategy"]), tuple(raw["teachers"]), steps))
    return tuple(found)


def _strategy(strategy: Any) -> str:
    return strategy if isinstance(strategy, str) else "named"


def _step(raw: Mapping[str, Any]) -> Step:
    rows = tuple(_rows(raw.get("teachers", ())))
    return Step(raw["reason"], Table("candidates", _CANDIDATES, rows) if rows else None)


def _rows(teachers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Cell, ...]]:
    for one in teachers:
        ends = one.get("interval")
        yield (
            Cell(one["teacher"]),
            _cost(one["cost_to_head"]),
            Cell(DASH if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"),
            _cost(one["cost_from_student"]),
            Cell(one["reason"]),
        )


def _cost(value: float | None) -> Cell:
    return Cell(DASH) if value is None else Cell(f"{value:.3f}", value)
