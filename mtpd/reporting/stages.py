"""The student's accuracy before a chain and after each of its stages, run by run."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtpd.reporting.figures import LINES, MARKERS, PAGE_WIDTH, PALETTE, save, style


@dataclass(frozen=True)
class Point:
    """Accuracy in the metric's unit after one stage; None: not measured, or not published."""

    measured: float | None
    deviation: float | None = None
    published: float | None = None


@dataclass(frozen=True)
class RunStages:
    """A run: the student before it, then after each stage; ``teachers`` in words."""

    name: str
    teachers: str
    points: tuple[Point, ...]


def draw_stages(runs: Sequence[RunStages], axis: str, title: str, paths: Sequence[Path]) -> None:
    """Draw one line for each run, published values as hollow markers on a thin line.

    A stage without measurement is a cross at the foot of the figure.

    Args:
        runs: The runs.
        axis: What the values are, with their unit.
        title: Above the figure.
        paths: Files to write; their suffix gives the format.
    """
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 2.9), layout="constrained")
        axes = figure.subplots()
        for index, run in enumerate(runs):
            _draw_run(axes, run, index, (index - (len(runs) - 1) / 2) * 0.04)
        most = max((len(run.points) for run in runs), default=1)
        axes.set_xlim(-0.3, max(1, most - 1) + 0.3)
        axes.set_xticks(range(most), ["without\nteacher", *map(_after, range(1, most))])
        axes.set_ylabel(axis)
        if any(point.published is not None for run in runs for point in run.points):
            axes.plot([], [], "o", color="0.3", markerfacecolor="white", label="hollow: published")
        figure.legend(loc="outside right upper")
        figure.suptitle(title)
        save(figure, paths)


def _draw_run(axes: Axes, run: RunStages, index: int, shift: float) -> None:
    colour, marker = PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)]
    places = np.arange(len(run.points)) + shift
    measured = _array([point.measured for point in run.points])
    published = _array([point.published for point in run.points])
    teachers = textwrap.fill(run.teachers, 38, break_long_words=False)
    axes.plot(
        places,
        measured,
        color=colour,
        marker=marker,
        linestyle=LINES[index % len(LINES)],
        label=f"{run.name}\n{teachers}",
    )
    axes.plot(
        places, published, marker, color=colour, markerfacecolor="white", markersize=6, zorder=1
    )
    missing = places[np.isnan(measured)]
    foot = axes.get_xaxis_transform()
    axes.plot(missing, np.full(len(missing), 0.03), "x", color=colour, transform=foot)
    deviations = _array([point.deviation for point in run.points])
    axes.errorbar(places, measured, deviations, fmt="none", color=colour, capsize=2)
    for place in missing:
        axes.annotate(
            "missing",
            (place, 0.03),
            xycoords=foot,
            xytext=(0, 5 + 7 * index),
            textcoords="offset points",
            color=colour,
            fontsize=6,
            ha="center",
        )


def _array(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _after(stage: int) -> str:
    return f"after\nstage {stage}"
