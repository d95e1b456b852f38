"""Charts as SVG that stands in the page: its colours and fonts are those of the page.

Matplotlib draws them with one placeholder for each colour; the page's style sheet says what these
are in light and in dark.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtpd.evaluation.coco import PrecisionCurves
from mtpd.reporting.figures import style
from mtpd.reporting.page.content import ROLES, Line, Model

# Colours that no chart has otherwise → variables of the style sheet.
_INK, _RULE, _FAINT = "#010101", "#020202", "#030303"
COLOURS = {role: f"#0{number}0000" for number, role in enumerate(ROLES, start=1)}
_VARIABLES = {
    _INK: "--muted",
    _RULE: "--rule",
    _FAINT: "--faint",
    **{colour: f"--{role}" for role, colour in COLOURS.items()},
}
_PAGE_STYLE: dict[Any, Any] = {
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "font.size": 9,
    "grid.color": _RULE,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
CLASSES_SHOWN = 11
WIDTH = 9.2
"""Inches; the page scales the charts to its own width."""

EMPHASIS = {"progressive": 2.4}


def draw_lines(lines: Sequence[Line], across: str, upward: str) -> str:
    """Lines over epochs; those without a role are thin and in the background.

    Args:
        lines: In the order in which they are drawn.
        across: What the x axis is.
        upward: What the y axis is, with its unit.
    """
    with style(), mpl.rc_context(_PAGE_STYLE):
        figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
        axes = figure.subplots()
        axes.grid(visible=False, axis="x")
        for line in sorted(lines, key=lambda line: line.role is not None):
            _draw_line(axes, line)
        axes.set_xlabel(across)
        axes.set_ylabel(upward)
        axes.set_xlim(left=-0.3)
        axes.margins(y=0.14)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return _svg(figure)


def _draw_line(axes: Axes, line: Line) -> None:
    points = [(x, y) for x, y in line.points if not math.isnan(y)]
    if not points:
        return
    colour = _FAINT if line.role is None else COLOURS[line.role]
    width = 1.0 if line.role is None else EMPHASIS.get(line.role, 1.8)
    axes.plot(*zip(*points, strict=True), color=colour, linewidth=width, solid_capstyle="round")
    for x, y, text in line.marks:
        if math.isnan(y):
            continue
        axes.plot([x], [y], "o", color=colour)
        axes.annotate(
            text, (x, y), xytext=(0, 8), textcoords="offset points", ha="center", color=colour
        )


def draw_precision(curves: Sequence[tuple[Model, PrecisionCurves]]) -> str:
    """Precision over recall: the mean of all classes, and then one small chart for each class.

    A thick line is at an IoU of 0.5, a dashed one at 0.75. Classes beyond the first
    ``CLASSES_SHOWN`` are left out.
    """
    names = list(curves[0][1].classes)
    shown = [None, *(names[:CLASSES_SHOWN] if len(names) > 1 else [])]
    columns = min(4, len(shown))
    rows = math.ceil(len(shown) / columns)
    with style(), mpl.rc_context(_PAGE_STYLE):
        size = (WIDTH * columns / 4 if columns < 4 else WIDTH, 0.3 + 2.1 * rows)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for panel, name in zip(panels.flat, shown, strict=False):
            _draw_class(panel, name, curves)
        for panel in panels.flat[len(shown) :]:
            panel.set_visible(False)
        figure.supxlabel("recall, %", color=_INK, fontsize=9)
        figure.supylabel("precision, %", color=_INK, fontsize=9)
        return _svg(figure)


def _draw_class(
    panel: Axes, name: str | None, curves: Sequence[tuple[Model, PrecisionCurves]]
) -> None:
    for model, own in curves:
        for iou, line, width in ((0.5, "-", 1.6), (0.75, (0, (3, 2)), 1.1)):
            precision = own.mean(iou) if name is None else own.classes.get(name, {}).get(iou)
            if precision is not None:
                # Where no detection reaches a recall there is no curve.
                reached = np.append(np.flatnonzero(precision > 0), [])
                until = int(reached[-1]) + 1 if len(reached) else 0
                panel.plot(
                    100 * own.recalls[:until],
                    100 * precision[:until],
                    linestyle=line,
                    linewidth=width,
                    color=COLOURS[model.role],
                )
    panel.set_title("all classes" if name is None else name, loc="left")
    panel.set_xlim(0, 100)
    panel.set_ylim(0, 103)
    panel.set_xticks([0, 50, 100])
    panel.set_yticks([0, 50, 100])


def _svg(figure: Figure) -> str:
    """The figure as an ``svg`` element that takes the page's colours."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    # Ids and fonts are the page's; clip paths are named by their content and may stay.
    text = re.sub(
        r' id="(?:figure|axes|patch|line2d|text|matplotlib\.axis|[xy]tick)_\d+"', "", text
    )
    text = re.sub(r"font: (\S+) [^;]+;", r"font-size: \1;", text)
    text = re.sub(r"font-family: [^;]+; ", "", text)
    # A style element would count for the whole page.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', text
    )
    text = text.replace("xlink:href", "href")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text
