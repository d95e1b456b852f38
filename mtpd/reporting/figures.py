"""What all figures share: their look, and files that are the same for the same numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtpd.files import whole_file

# Okabe and Ito's colours, which people with any colour vision tell apart, darkest first.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[tuple[int, tuple[float, ...]] | str, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1)))

COLUMN_WIDTH = 3.35
"""Inches: a column of a paper in two columns, at which all figures can be read."""

PAGE_WIDTH = 6.9
"""Inches: both columns."""

CHARACTER = 0.068
"""Inches: mean width of a character of the figures' text."""

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 8,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "mtpd",
    "text.parse_math": False,  # a dollar in a name is one
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the figures' look."""
    with mpl.rc_context(_STYLE):
        yield


def save(figure: Figure, paths: Sequence[Path]) -> None:
    """Write ``figure`` to every path; the suffix gives the format. Call within :func:`style`."""
    for path in paths:
        with whole_file(path) as temporary:
            # Without dates the same numbers give the same bytes.
            metadata = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
            figure.savefig(temporary, dpi=200, metadata=metadata.get(path.suffix))


def say_nothing_measured(axes: Axes) -> None:
    """Mark axes without a single value."""
    axes.text(0.5, 0.5, "nothing measured yet", transform=axes.transAxes, ha="center", va="center")
    axes.set_xticks([])
    axes.set_yticks([])


def measured(across: Sequence[float], upward: Sequence[float]) -> tuple[list[float], list[float]]:
    """Points of a line without those that have no value, so that it goes on past them."""
    points = [(x, y) for x, y in zip(across, upward, strict=True) if not isnan(y)]
    return [x for x, _ in points], [y for _, y in points]
