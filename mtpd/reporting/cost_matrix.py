"""Adaptation costs between all detectors as a matrix, with the teachers that were chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mtpd.reporting.figures import COLUMN_WIDTH, LINES, PALETTE, save, say_nothing_measured, style


def draw_cost_matrix(
    costs: Mapping[str, Mapping[str, float]] | None,
    student: str,
    orders: Mapping[str, Sequence[str] | None],
    title: str,
    paths: Sequence[Path],
) -> None:
    """Draw the costs, and frame the steps student → first teacher → … of every order.

    Args:
        costs: ``costs[source][target]``, normalised; None: not computed yet.
        student: Its name; its row is the first.
        orders: Teachers of runs by name, first to last; None: not decided yet.
        title: Above the figure.
        paths: Files to write; their suffix gives the format.
    """
    names = [student, *(name for name in costs or {} if name != student)]
    side = max(COLUMN_WIDTH, 1.6 + 0.42 * len(names))
    with style():
        figure = Figure(figsize=(side, 0.85 * side + 0.2 * len(orders)), layout="constrained")
        axes = figure.subplots()
        axes.grid(visible=False)
        if costs is None:
            say_nothing_measured(axes)
        else:
            _draw_matrix(figure, axes, costs, names)
        for index, (run, teachers) in enumerate(orders.items()):
            _draw_order(axes, names, run, student, teachers, index)
        figure.legend(loc="outside lower center")
        figure.suptitle(title)
        save(figure, paths)


def _draw_matrix(
    figure: Figure, axes: Axes, costs: Mapping[str, Mapping[str, float]], names: Sequence[str]
) -> None:
    values = np.array(
        [[costs.get(one, {}).get(other, np.nan) for other in names] for one in names]
    )
    # Costs above 1 are those of a map that is worse than a constant.
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="adaptation cost", shrink=0.8, extend="max")
    for (row, column), value in np.ndenumerate(values):
        if row == column:
            continue
        missing = np.isnan(value)
        if missing:
            axes.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5), 1, 1, fill=False, hatch="////", edgecolor="0.7"
                )
            )
        axes.text(
            column,
            row,
            "missing" if missing else f"{value:.2f}",
            ha="center",
            va="center",
            fontsize=5 if missing else 7,
            color="black" if missing or value > 0.55 else "white",
        )
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="to", ylabel="from")


def _draw_order(
    axes: Axes,
    names: Sequence[str],
    run: str,
    student: str,
    teachers: Sequence[str] | None,
    index: int,
) -> None:
    """Frames of their own size and colour, so that several orders can share a step."""
    colour, line = PALETTE[(index + 1) % len(PALETTE)], LINES[index % len(LINES)]
    if teachers is None:
        axes.plot([], [], " ", label=f"{run}: order missing")
        return
    inset = 0.06 + 0.07 * index
    for number, (one, other) in enumerate(pairwise([student, *teachers]), 1):
        if one not in names or other not in names:
            continue
        row, column = names.index(one), names.index(other)
        axes.add_patch(
            Rectangle(
                (column - 0.5 + inset, row - 0.5 + inset),
                1 - 2 * inset,
                1 - 2 * inset,
                fill=False,
                edgecolor=colour,
                linestyle=line,
                linewidth=1.8,
            )
        )
        axes.text(
            column - 0.44 + inset,
            row - 0.44 + inset,
            str(number),
            color=colour,
            fontsize=6,
            weight="bold",
            va="top",
        )
    axes.plot([], [], linestyle=line, color=colour, linewidth=1.8, label=_path(run, student, teachers))


def _path(run: str, student: str, teachers: Sequence[str]) -> str:
    return f"{run}: " + "\n→ ".join([student, *teachers])
