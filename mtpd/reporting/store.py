"""The store on the screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from mtpd.overview.kept import Kept


def print_kept(kept: Sequence[Kept]) -> None:
    """A table of what the store keeps, the largest first, and the sum."""
    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "made for", "job", "made at", "used by"):
        table.add_column(heading)
    table.add_column("size", justify="right")
    for one in sorted(kept, key=lambda one: -one.entry.n_bytes):
        entry = one.entry
        users = ", ".join(one.experiments) or ("results deleted" if one.is_needed else "nothing")
        table.add_row(
            entry.kind, entry.experiment, entry.target or "all", entry.made, users,
            size(entry.n_bytes),
        )  # fmt: skip
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{len(kept)} results, {size(total_bytes(kept))}")


def total_bytes(kept: Sequence[Kept]) -> int:
    """Bytes of all files; those that results share with the store count too."""
    return sum(one.entry.n_bytes for one in kept)


def size(n_bytes: int) -> str:
    """Bytes in the largest unit that leaves a whole number of it."""
    amount, units = float(n_bytes), ("B", "kB", "MB", "GB", "TB")
    for unit in units:
        if amount < 1000 or unit == units[-1]:
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
