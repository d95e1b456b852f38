"""Published models as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from mtpd.settings.runtime import Zoo
from mtpd.zoo.metafiles import Record
from mtpd.zoo.sources import Remote, sha256_of_name

WIDTH_OF_FILES = 260


def print_records(records: Sequence[Record], console: Console | None = None) -> None:
    """Print a line for each of ``records``."""
    console = console or _console()
    table = Table(box=None, pad_edge=False)
    table.add_column("config", overflow="fold")
    for heading in ("box AP", "mask AP", "epochs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("measured on", no_wrap=True)
    table.add_column("weights", overflow="fold")
    for record in records:
        table.add_row(
            record.config,
            _number(record.box_ap),
            _number(record.mask_ap),
            _number(record.epochs),
            record.dataset or "",
            "" if record.weights is None else Remote(record.weights).file,
        )
    console.print(table)


def print_record(record: Record, zoo: Zoo, console: Console | None = None) -> None:
    """Print all that is known of ``record``, and whether its weights are in the cache."""
    console = console or _console()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    lines = {
        "config": record.config,
        "box AP": _number(record.box_ap),
        "mask AP": _number(record.mask_ap),
        "measured on": record.dataset or "",
        "epochs": _number(record.epochs),
        "training memory, GB": _number(record.memory_gb),
        "weights": record.weights or "not published",
    }
    if record.weights is not None:
        path = Remote(record.weights).path(zoo)
        lines["SHA-256 starts with"] = sha256_of_name(record.weights) or "not known"
        lines["in the cache"] = str(path) if path.is_file() else f"no (would be {path})"
    for heading, text in lines.items():
        table.add_row(heading, text)
    console.print(table)


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_FILES
    return console


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
