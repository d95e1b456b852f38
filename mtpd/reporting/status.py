"""How far an experiment is, for the terminal."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.text import Text

from mtpd.overview.status import ExperimentStatus, Failure
from mtpd.reporting.tree import STYLES, tree_of, tree_table

WIDTH_OF_FILES = 120


def print_status(status: ExperimentStatus, console: Console | None = None) -> None:
    """Print ``status``: a line in sum, the tree, and what has failed with its logs."""
    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = WIDTH_OF_FILES
    console.print(Text(summary(status)), soft_wrap=True)
    console.print(tree_table(tree_of(status), console.width))
    for line in failure_lines(status):
        console.print(line, soft_wrap=True)


def summary(status: ExperimentStatus) -> str:
    """How many models are in which state, in a line."""
    models = status.models()
    counts = Counter(model.state for model in models)
    parts = [f"{counts['done']} of {len(models)} trained"]
    parts += [f"{counts[state]} {state}" for state in STYLES if counts[state] and state != "done"]
    undecided = [run.name for run in status.runs if run.stages is None]
    if undecided:
        parts.append(f"order not decided yet: {', '.join(undecided)}")
    return f"{status.folder}: {'; '.join(parts)}"


def failure_lines(status: ExperimentStatus) -> list[Text]:
    """Of every failure the log, and the line in it that says why."""
    lines = []
    for failure in _failures(status):
        lines.append(Text(f"{failure.log}:", "bold"))
        lines.append(Text(f"  {failure.line}", STYLES["failed"]))
    return lines


def _failures(status: ExperimentStatus) -> list[Failure]:
    """Those of the experiment first; each once."""
    of_models = [failure for model in status.models() for failure in model.failures]
    return list(dict.fromkeys((*status.failures, *of_models)))
