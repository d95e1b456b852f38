"""What the commands that use a model say on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtpd.errors import UserError
from mtpd.evaluation.image_scores import ImageScore
from mtpd.evaluation.metrics import SPLIT_METRICS
from mtpd.overview.models import Model

WIDTH_OF_FILES = 140
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


def print_comparison(
    names: tuple[str, str],
    data: str,
    rows: Sequence[tuple[str, float | None, float | None]],
    images: Sequence[tuple[str, tuple[ImageScore, ImageScore]]],
    console: Console | None = None,
) -> None:
    """Print the figures of two models in percent, and the images on which they differ most."""
    console = console or plain_console()
    table = Table("", *names, "difference", title=data, title_justify="left")
    for key, first, second in rows:
        title = SPLIT_METRICS[key].title if key in SPLIT_METRICS else key.replace("bbox_mAP", "AP")
        table.add_row(title, _percent(first), _percent(second), _difference(first, second))
    console.print(table)
    if not images:
        console.print("no single image differs")
        return
    table = Table("image", *(f"{name}: found/missed/wrong" for name in names), "F1")
    for name, (one, other) in images:
        counts = [f"{own.found}/{own.missed}/{own.wrong}" for own in (one, other)]
        table.add_row(name, *counts, f"{other.f1 - one.f1:+.2f}")
    console.print(table)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _difference(first: float | None, second: float | None) -> str:
    return "" if first is None or second is None else f"{100 * (second - first):+.1f}"


def plain_console() -> Console:
    """A console that colours nothing by itself; in a file, lines may be long."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_FILES
    return console
