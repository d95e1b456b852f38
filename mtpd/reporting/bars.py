"""Bars of a table's columns: for every row the published value beside the measured one."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mtpd.reporting.figures import CHARACTER, PAGE_WIDTH, PALETTE, save, style

_MISSING: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.5", "hatch": "//////"}


@dataclass(frozen=True)
class Bar:
    """A pair of bars, in the metric's unit.

    Attributes:
        published: None: the paper gives no value.
        measured: Mean; None: not measured yet.
        deviation: Of the mean over seeds, or None.
    """

    published: float | None
    measured: float | None
    deviation: float | None = None


@dataclass(frozen=True)
class Group:
    """The bars of one row.

    Attributes:
        panel: All its labels but the last, which it shares with others.
        label: The last one.
        bars: By column.
        axis: What the values are, with their unit.
    """

    panel: str
    label: str
    bars: dict[str, Bar]
    axis: str


def draw_bars(
    groups: Sequence[Group], columns: Sequence[str], title: str, paths: Sequence[Path]
) -> None:
    """Draw one panel for the groups that share panel and axis, side by side.

    Args:
        groups: The rows.
        columns: Names of the bars of a row, in order.
        title: Above the figure.
        paths: Files to write; their suffix gives the format.
    """
    panels = list(dict.fromkeys((group.panel, group.axis) for group in groups))
    rows = math.ceil(len(panels) / 2)
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 0.7 + 2.2 * rows), layout="constrained")
        grid = list(figure.subplots(rows, min(2, len(panels)), squeeze=False).flat)
        for axes, (panel, axis) in zip(grid, panels, strict=False):
            own = [group for group in groups if (group.panel, group.axis) == (panel, axis)]
            _draw_panel(axes, panel, own, columns)
            axes.set_ylabel(f"{axis}, from {axes.get_ylim()[0]:g}")
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        handles = list(_handles(columns))
        fitting = int(PAGE_WIDTH / (CHARACTER * (5 + max(map(len, columns)) + len(", published"))))
        ncols = min(len(handles), max(1, fitting))
        figure.legend(handles=handles, loc="outside lower center", ncols=ncols)
        figure.suptitle(title)
        save(figure, paths)


def _handles(columns: Sequence[str]) -> Iterator[Patch]:
    for index, column in enumerate(columns):
        colour = PALETTE[index % len(PALETTE)]
        yield Patch(facecolor="white", edgecolor=colour, label=f"{column}, published")
        yield Patch(facecolor=colour, edgecolor=colour, label=f"{column}, measured")
    yield Patch(**_MISSING, label="not measured yet")


def _draw_panel(axes: Axes, panel: str, groups: Sequence[Group], columns: Sequence[str]) -> None:
    width = 0.84 / (2 * len(columns))
    low, high = _limits([bar for group in groups for bar in group.bars.values()])
    axes.set_xlim(-0.55, len(groups) - 0.45)
    axes.set_ylim(low, high)
    for place, group in enumerate(groups):
        for index, column in enumerate(columns):
            if column not in group.bars:
                continue
            bar, colour = group.bars[column], PALETTE[index % len(PALETTE)]
            left = place - 0.42 + (2 * index + 0.5) * width
            if bar.published is not None:
                _draw_bar(axes, left, width, bar.published, "white", colour)
            if bar.measured is None:
                _draw_missing(axes, left + width, width, (high - low) / 8)
            else:
                _draw_bar(axes, left + width, width, bar.measured, colour, colour, bar.deviation)
    labels = [textwrap.fill(group.label, max(8, 48 // len(groups))) for group in groups]
    axes.set_xticks(range(len(groups)), labels)
    axes.grid(visible=False, axis="x")
    axes.set_title(textwrap.fill(panel, 44), fontsize=8)


def _draw_bar(
    axes: Axes,
    middle: float,
    width: float,
    value: float,
    face: str,
    edge: str,
    deviation: float | None = None,
) -> None:
    low = axes.get_ylim()[0]
    axes.bar(
        middle,
        value - low,
        0.9 * width,
        bottom=low,
        color=face,
        edgecolor=edge,
        yerr=deviation,
        error_kw={"capsize": 2, "elinewidth": 0.8},
    )
    top = value + (deviation or 0)
    axes.annotate(
        f"{value:.1f}",
        (middle, top),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        va="bottom",
        rotation=90,
        fontsize=6,
    )


def _draw_missing(axes: Axes, middle: float, width: float, height: float) -> None:
    """A short hatched bar, which is no value."""
    low = axes.get_ylim()[0]
    axes.bar(middle, height, 0.9 * width, bottom=low, **_MISSING)


def _limits(bars: Sequence[Bar]) -> tuple[float, float]:
    """Limits of the axis: bars do not begin at zero, or differences of a point would not show."""
    values = [value for bar in bars for value in (bar.published, bar.measured) if value is not None]
    if not values:
        return 0.0, 1.0
    span = max(1.0, max(values) - min(values))
    return max(0.0, math.floor(min(values) - 0.4 * span)), max(values) + 0.45 * span
