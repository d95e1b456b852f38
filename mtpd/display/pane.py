"""The picture of a run: every experiment's tree, what else runs, and how far the whole is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mtpd.overview.status import ExperimentStatus, ModelStatus
from mtpd.reporting.status import failure_lines, summary
from mtpd.reporting.tree import SHOWN_ALWAYS, tree_of, tree_table

BAR_WIDTH = 24
AROUND = 4
"""Lines below and between the trees."""


def pane(
    statuses: Sequence[ExperimentStatus],
    below: Sequence[RenderableType],
    width: int,
    height: int,
    *,
    failures: bool = True,
) -> Group:
    """Trees of experiments, those in which nothing happens as one line, and ``below`` them.

    Args:
        statuses: Of the experiments.
        below: What stands under the trees, a line each.
        width: Columns that there are.
        height: Lines that there are.
        failures: Whether to show what has failed.
    """
    busy = [one for one in statuses if _is_busy(one)] or list(statuses[:1])
    lines = [line for one in statuses for line in failure_lines(one)] if failures else []
    room = height - len(statuses) - len(below) - len(lines) - AROUND
    parts: list[RenderableType] = []
    for one in statuses:
        parts.append(Text(summary(one), "bold", no_wrap=True, overflow="ellipsis"))
        if one in busy:
            parts.append(tree_table(tree_of(one), width, max(3, room // len(busy))))
    return Group(*parts, *lines, *below)


def with_states(
    status: ExperimentStatus, changed: Callable[[ModelStatus], ModelStatus]
) -> ExperimentStatus:
    """``status`` with every model as ``changed`` gives it."""
    runs = [
        replace(run, stages=None if run.stages is None else tuple(map(changed, run.stages)))
        for run in status.runs
    ]
    detectors = tuple(map(changed, status.detectors))
    return replace(status, detectors=detectors, runs=tuple(runs))


def as_known(model: ModelStatus, started: Iterable[Path], to_come: Iterable[Path]) -> ModelStatus:
    """A model as it is known where the jobs are: files say nothing yet of those just started."""
    if model.folder in started:
        is_new = model.state in ("waiting", "interrupted", "failed")
        return replace(model, state="started", failures=()) if is_new else model
    if model.folder in to_come and model.state == "done":
        return replace(model, state="waiting", epochs=())
    return model


def bar(done: int, total: int, words: str) -> Table:
    """How many jobs are done, as a bar with words."""
    line = Table.grid(padding=(0, 2))
    line.add_row(
        ProgressBar(max(1, total), done, width=BAR_WIDTH),
        Text(words, no_wrap=True, overflow="ellipsis"),
    )
    return line


def _is_busy(status: ExperimentStatus) -> bool:
    return any(model.state in SHOWN_ALWAYS for model in status.models())
