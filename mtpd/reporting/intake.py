"""What ``mtpd init`` has found and what it proposes, on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtpd.errors import UserError
from mtpd.intake.machine import Machine
from mtpd.intake.survey import Survey
from mtpd.settings.experiment import Experiment

WIDTH_OF_FILES = 120
CLASSES = 12
"""Rows of the table of classes that have boxes: the most frequent, and the rarest."""
LINES = 4
"""Problems, and remarks, that are printed."""
STYLES = {"problem": "bold red", "remark": "yellow"}


def screen(console: Console | None = None) -> Console:
    """Where it is printed; wide enough for lines where nobody looks."""
    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = WIDTH_OF_FILES
    return console


def print_survey(
    folder: Path,
    kind: str,
    found: Survey,
    problems: Sequence[UserError],
    remarks: Sequence[object],
    console: Console,
) -> None:
    """Print what a folder holds and what is wrong with it."""
    console.print(Text(f"{folder}: {kind}", "bold"), soft_wrap=True)
    console.print(_counts(found))
    sizes = found.sizes
    for what, text in (
        ("images", f"{_range(sizes.width)} wide, {_range(sizes.height)} high"),
        ("boxes", f"{_box(sizes.box)}, by the root of their area"),
    ):
        console.print(Text(f"{what}: {text} (pixels)"), soft_wrap=True)
    _print_lines(console, "problem", problems)
    _print_lines(console, "remark", remarks)


def print_proposal(
    experiment: Experiment,
    hours: float,
    basis: str,
    machine: Machine,
    remarks: Sequence[str],
    console: Console,
) -> None:
    """Print what an experiment would do here, in a few lines."""
    training, size = experiment.training, experiment.pipeline.size
    at = "" if size is None else f" at {size[0]}x{size[1]}"
    console.print()
    console.print(Text("proposal", "bold"))
    table = Table.grid(padding=(0, 2))
    table.add_row("student", experiment.student.name)
    table.add_row("teachers", ", ".join(map(_teacher, experiment.teachers.items())))
    stage = experiment.stage_training("cwd", None).epochs
    schedule = f"{training.epochs} epochs, {stage} a stage, {training.batch_size} images a step"
    table.add_row("training", f"{schedule}{at}")
    how = {"measured": "measured", "scaled": "from measured speeds"}.get(basis, "roughly assumed")
    table.add_row("takes", f"about {_duration(hours)} ({how}); {machine.words}")
    console.print(table)
    _print_lines(console, "remark", remarks)


def print_written(paths: Sequence[Path], name: str, cores: int, console: Console) -> None:
    """Print which files were written, and the command that comes next."""
    yaml, *lists = paths
    beside = f", and {len(lists)} lists in {lists[0].parent}" if lists else ""
    console.print()
    console.print(Text(f"written: {yaml}{beside}", "green"), soft_wrap=True)
    console.print(Text(f"next: snakemake --cores {cores} --config experiments={name}", "bold"))


def _counts(found: Survey) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for split in found.splits:
        table.add_column(split, justify="right", no_wrap=True)
    parts = found.splits.values()
    table.add_row("images", *(f"{part.images:,}" for part in parts))
    if any(part.empty for part in parts):
        table.add_row("  without boxes", *(f"{part.empty:,}" for part in parts))
    table.add_row("boxes", *(f"{part.boxes:,}" for part in parts))
    totals = {name: sum(part.boxes_per_class[name] for part in parts) for name in found.classes}
    ranked = sorted(filter(totals.get, totals), key=lambda name: -totals[name])
    shown = (
        ranked
        if len(ranked) <= CLASSES
        else [*ranked[: CLASSES // 2], "", *ranked[-CLASSES // 2 :]]
    )
    for name in shown:
        if name:
            counts = (f"{part.boxes_per_class[name]:,}" for part in parts)
            table.add_row(Text(f"  {name}"), *counts)
        else:
            table.add_row(Text(f"  … {len(ranked) - CLASSES} more classes …", "dim"))
    return table


def _teacher(item: tuple[str, object]) -> str:
    name, detector = item
    words = []
    if getattr(detector, "weights", None):
        words.append("trained")
    if getattr(detector, "start_from", None):
        words.append("from COCO weights")
    return f"{name} ({', '.join(words)})" if words else name


def _range(values: tuple[int, int, int]) -> str:
    low, middle, high = values
    return f"{low}" if low == high else f"{low} to {high} (half below {middle})"


def _box(values: tuple[float, float, float]) -> str:
    low, middle, high = values
    return f"a tenth below {low:.0f}, half below {middle:.0f}, a tenth above {high:.0f}"


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{max(1, round(60 * hours))} min"


def _print_lines(console: Console, kind: str, lines: Sequence[object]) -> None:
    for line in lines[:LINES]:
        console.print(Text(f"{kind}: {line}", STYLES[kind]), soft_wrap=True)
    if len(lines) > LINES:
        more = f"{kind}: and {len(lines) - LINES:,} more; `mtpd data check` lists them"
        console.print(Text(more, STYLES[kind]))
