"""Adaptation costs between all detectors as a matrix, with the teachers that were chosen."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from mtpd.reporting.figures import (
    CHARACTER,
    COLUMN_WIDTH,
    LINES,
    PALETTE,
    save,
    say_nothing_measured,
    style,
)

CELL = 0.42  # inches


def draw_cost_matrix(
    costs: Mapping[str, Mapping[str, float]] | None,
    intervals: Mapping[str, Mapping[str, tuple[float, float]]],
    student: str,
    orders: Mapping[str, Sequence[str] | None],
    title: str,
    paths: Sequence[Path],
) -> None:
    """Draw the costs, and frame the steps student → first teacher → … of every order.

    Args:
        costs: ``costs[source][target]``, normalised; None: not computed yet.
        intervals: Ends of the 95 % intervals around them; half of each is shown below the cost.
        student: Its name; its row is the first.
        orders: Teachers of runs by name, first to last; None: not decided yet.
        title: Above the figure.
        paths: Files to write; their suffix gives the format.
    """
    names = [student, *(name for name in costs or {} if name != student)]
    ticks = CHARACTER * max(map(len, names))
    width = max(COLUMN_WIDTH, ticks + CELL * len(names) + 1)
    labels = [
        textwrap.fill(_words(run, teachers), int(width / CHARACTER) - 8)
        for run, teachers in orders.items()
    ]
    lines = sum(label.count("\n") + 1 for label in labels)
    height = CELL * len(names) + 0.7 * ticks + 0.16 * lines + 0.7
    with style():
        figure = Figure(figsize=(width, max(2.0, height)), layout="constrained")
        axes = figure.subplots()
        axes.grid(visible=False)
        if costs is None:
            say_nothing_measured(axes)
        else:
            _draw_matrix(figure, axes, costs, intervals, names)
        for index, (teachers, label) in enumerate(zip(orders.values(), labels, strict=True)):
            _draw_order(axes, names, teachers or (), index)
            colour, line = _look(index)
            axes.plot([], [], color=colour, linestyle=line if teachers else "none", label=label)
        if labels:
            figure.legend(loc="outside lower center")
        figure.suptitle(title)
        save(figure, paths)


def _draw_matrix(
    figure: Figure,
    axes: Axes,
    costs: Mapping[str, Mapping[str, float]],
    intervals: Mapping[str, Mapping[str, tuple[float, float]]],
    names: Sequence[str],
) -> None:
    values = np.array([[costs.get(one, {}).get(other, np.nan) for other in names] for one in names])
    # A cost above 1 is that of a map that is worse than a constant.
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="adaptation cost, row → column", extend="max")
    for (row, column), value in np.ndenumerate(values):
        if row != column and np.isnan(value):
            axes.add_patch(_cell(row, column, 0, edgecolor="0.6", hatch="/////", linewidth=0))
        elif row != column:
            colour = "black" if value > 0.55 else "white"
            place: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
            axes.text(column, row + 0.1, f"{value:.2f}", **place)
            ends = intervals.get(names[row], {}).get(names[column])
            if ends is not None:
                half = (ends[1] - ends[0]) / 2
                axes.text(column, row + 0.32, f"±{half:.2f}", fontsize=5, **place)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)


def _draw_order(axes: Axes, names: Sequence[str], teachers: Sequence[str], index: int) -> None:
    """Numbered frames, each order's inside those before it, so that orders can share a step."""
    colour, line = _look(index)
    outline = [withStroke(linewidth=3.2, foreground="white")]
    known = [name for name in (names[0], *teachers) if name in names]
    for number, (one, other) in enumerate(pairwise(known), 1):
        row, column = names.index(one), names.index(other)
        frame = {"edgecolor": colour, "linestyle": line, "linewidth": 1.6}
        axes.add_patch(_cell(row, column, 0.06 + 0.09 * index, path_effects=outline, **frame))
        axes.text(
            column - 0.26 + 0.3 * index,
            row - 0.2,
            str(number),
            color=colour,
            path_effects=outline,
            fontsize=6,
            weight="bold",
            ha="center",
            va="center",
        )


def _cell(row: int, column: int, inset: float, **look: Any) -> Rectangle:
    side = 1 - 2 * inset
    corner = (column - 0.5 + inset, row - 0.5 + inset)
    return Rectangle(corner, side, side, fill=False, **look)


def _look(index: int) -> tuple[str, Any]:
    return PALETTE[(index + 1) % len(PALETTE)], LINES[index % len(LINES)]


def _words(run: str, teachers: Sequence[str] | None) -> str:
    return f"{run}: " + ("order missing" if teachers is None else " → ".join(teachers))
