"""How far a download is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

SECONDS = 20.0
"""Between two lines of a log."""

Advance = Callable[[int, int | None], None]
"""Takes the bytes that are there, and how many there will be if that is known."""

logger = logging.getLogger(__name__)


@contextmanager
def progress(name: str) -> Iterator[Advance]:
    """Show the progress of the file ``name`` while the body runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(name)
        return
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}"), *columns, console=console) as bar:
        task = bar.add_task(name, total=None)

        def advance(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


def _lines(name: str) -> Advance:
    """Write a line at the beginning, and then every :data:`SECONDS`."""
    said = -SECONDS

    def advance(done: int, total: int | None) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < SECONDS and done != total:
            return
        said = now
        whole = "" if total is None else f" of {total / 1e6:.1f}"
        logger.info("%s: %.1f%s MB", name, done / 1e6, whole)

    return advance
