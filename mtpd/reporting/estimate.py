"""What experiments will take, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtpd.estimation.estimate import HEADINGS, Estimate, cells, count_rules, notes, total
from mtpd.estimation.speed import Speed

WIDTH_OF_FILES = 120


def print_estimate(
    estimates: Sequence[Estimate], speed: Speed, console: Console | None = None
) -> None:
    """Print jobs by rule, then hours and disk by experiment, then what they rest on."""
    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = WIDTH_OF_FILES
    everything = total(estimates)
    rules = _table("rule", "done", "left", "GPU hours")
    for rule, (done, left) in count_rules(everything).items():
        of_rule = Estimate(rule, tuple(job for job in everything.jobs if job.rule == rule))
        rules.add_row(rule, str(done), str(left), cells(of_rule)[2])
    console.print(rules)
    console.print()
    experiments = _table(*HEADINGS)
    for one in estimates:
        experiments.add_row(*cells(one))
    if len(estimates) > 1:
        experiments.add_section()
        experiments.add_row(*cells(everything), style="bold")
    console.print(experiments)
    for line in notes(estimates, speed):
        console.print(Text(line), soft_wrap=True)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
