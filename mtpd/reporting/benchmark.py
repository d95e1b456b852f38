"""The table of models and runtimes, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from mtpd.evaluation.speed_of_use import Speed
from mtpd.reporting.using import plain_console

Measured = tuple[str, str, float | None, Speed, float, bool | None]
"""Model, runtime, AP, speed, size of the file in MB, and whether integers hold the AP."""


def print_benchmark(
    rows: Sequence[Measured],
    data: str,
    batch: int,
    allowed: float,
    console: Console | None = None,
) -> None:
    """Print a row for every model and runtime, and say of integers whether they hold the AP."""
    console = console or plain_console()
    columns = ("model", "runtime", f"AP ({data})", "latency ms", f"images/s, {batch} at a time")
    table = Table(*columns, "memory MB", "file MB")
    for model, runtime, ap, speed, size, _ in rows:
        first, third = speed.latency_quartiles_ms
        table.add_row(
            model,
            runtime,
            "–" if ap is None else f"{100 * ap:.1f}",
            f"{speed.latency_ms:.1f} ({first:.1f}–{third:.1f})",
            f"{speed.images_per_second:.1f}",
            "–" if speed.memory_mb is None else f"{speed.memory_mb:.0f}",
            f"{size:.1f}",
        )
    console.print(table)
    for model, _, _, _, _, holds in rows:
        if holds is not None:
            verdict = "hold the AP" if holds else "do not hold the AP"
            limit = f"{100 * allowed:g} points"
            line = f"{model}: 8-bit integers {verdict} (at most {limit} less allowed)"
            console.print(line, soft_wrap=True)
