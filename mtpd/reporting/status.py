"""How far an experiment is, as a table for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtpd.overview.status import ExperimentStatus, Failure, ModelStatus, State

STYLES: dict[State, str] = {
    "done": "green",
    "running": "bold cyan",
    "interrupted": "yellow",
    "failed": "bold red",
    "waiting": "dim",
}
WIDTH_OF_FILES = 120


def print_status(status: ExperimentStatus, console: Console | None = None) -> None:
    """Print ``status``: a line in sum, the table, and what has failed with its logs."""
    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = WIDTH_OF_FILES
    console.print(Text(_sum(status)), soft_wrap=True)
    console.print(_table(status))
    for failure in _failures(status):
        console.print(Text(f"{failure.log}:", "bold"), soft_wrap=True)
        console.print(Text(f"  {failure.line}", STYLES["failed"]), soft_wrap=True)


def _sum(status: ExperimentStatus) -> str:
    models = status.models()
    counts = Counter(model.state for model in models)
    parts = [f"{counts['done']} of {len(models)} trained"]
    parts += [f"{counts[state]} {state}" for state in STYLES if counts[state] and state != "done"]
    undecided = [run.name for run in status.runs if run.stages is None]
    if undecided:
        parts.append(f"order not decided yet: {', '.join(undecided)}")
    return f"{status.folder}: {'; '.join(parts)}"


def _table(status: ExperimentStatus) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    table.add_column("state", no_wrap=True)
    for heading in ("epoch", "iteration", "s/iter", "left"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("where", overflow="fold")
    for detector in status.detectors:
        table.add_row(*_row(detector, ""))
    for run in status.runs:
        table.add_row()
        undecided = Text("undecided" if run.stages is None else "", STYLES["waiting"])
        table.add_row(Text(f"{run.name} ({run.method})", "bold"), undecided)
        for stage in run.stages or ():
            table.add_row(*_row(stage, "  "))
    return table


def _row(model: ModelStatus, indent: str) -> Iterator[Text]:
    style = STYLES[model.state]
    progress = model.progress
    yield Text(indent + model.name)
    if progress is None:
        yield Text(model.state, style)
        return
    running = model.state == "running"
    yield Text("validating" if running and progress.state == "validating" else model.state, style)
    yield Text(f"{progress.epoch}/{progress.epochs}")
    yield Text(f"{progress.iteration}/{progress.iterations}")
    speed, left = progress.seconds_per_iteration, progress.seconds_left
    yield Text("" if speed is None or not running else f"{max(0.0, speed):.3g}")
    yield Text("" if left is None or not running else duration(left))
    yield Text(progress.where)


def _failures(status: ExperimentStatus) -> list[Failure]:
    """Those of the experiment first; each once."""
    of_models = [failure for model in status.models() for failure in model.failures]
    return list(dict.fromkeys((*status.failures, *of_models)))


def duration(seconds: float) -> str:
    """A length of time in the two units that matter, such as ``3 h 05 min``."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 59.5:
        return f"{round(seconds)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"
