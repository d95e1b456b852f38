"""What the commands that use a model say on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mtpd.errors import UserError
from mtpd.overview.models import Model

SHOWN = 5
"""Unreadable images that are named one by one."""


def print_model(model: Model, console: Console | None = None) -> None:
    """Say which files are used, and what was chosen where the name left a choice."""
    console = console or plain_console()
    if model.remark:
        console.print(Text(model.remark), soft_wrap=True)
    console.print(Text(f"model: {model.weights}"), soft_wrap=True)


def print_prediction(
    images: int,
    objects: Mapping[str, int],
    unreadable: Sequence[UserError],
    others: int,
    out: Path,
    console: Console | None = None,
) -> None:
    """Say what was found and where it is, and what was left out."""
    console = console or plain_console()
    for error in unreadable[:SHOWN]:
        console.print(Text(f"left out: {error.where}: {error.problem}", "yellow"), soft_wrap=True)
    if len(unreadable) > SHOWN:
        console.print(Text(f"left out: {len(unreadable) - SHOWN} more images", "yellow"))
    if others:
        line = f"left out: {others} other files than images and videos"
        console.print(Text(line, "yellow"))
    counts = [f"{number} {name}" for name, number in objects.items() if number]
    total = sum(objects.values())
    what = f" ({', '.join(counts)})" if counts else ""
    console.print(Text(f"{images} images, {total} objects{what}: {out}"), soft_wrap=True)


def plain_console() -> Console:
    """A console that colours nothing by itself."""
    return Console(highlight=False)
