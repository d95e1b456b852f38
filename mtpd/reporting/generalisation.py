"""Training loss against validation accuracy: does a student fit better, or generalise better?"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtpd.reporting.figures import (
    LINES,
    MARKERS,
    PAGE_WIDTH,
    PALETTE,
    measured,
    save,
    say_nothing_measured,
    style,
)


@dataclass(frozen=True)
class Trajectory:
    """One training, epoch by epoch; NaN where an epoch was not validated.

    Attributes:
        name: Trainings of the same name, from several seeds, share a colour.
        loss: Mean detection loss of every epoch, without distillation losses.
        accuracy: Validation figure after every epoch, in percent.
    """

    name: str
    loss: tuple[float, ...]
    accuracy: tuple[float, ...]


def draw_loss_against_ap(
    names: Sequence[str],
    trajectories: Sequence[Trajectory],
    axis: str,
    title: str,
    paths: Sequence[Path],
) -> None:
    """Draw both figures over the epochs, and the one against the other.

    A student that generalises better lies, at the end of its training, higher at the same or a
    higher training loss.

    Args:
        names: All that should be there; those without a trajectory are named as missing.
        trajectories: Those that there are.
        axis: What the validation figure is, with its unit.
        title: Above the figure.
        paths: Files to write; their suffix gives the format.
    """
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 2.7), layout="constrained")
        loss, accuracy, both = figure.subplots(1, 3)
        for index, name in enumerate(names):
            own = [each for each in trajectories if each.name == name]
            label = textwrap.fill(name if own else f"{name} (missing)", 40)
            look: dict[str, Any] = {
                "color": PALETTE[index % len(PALETTE)],
                "linestyle": LINES[index % len(LINES)],
            }
            for axes in (loss, accuracy, both):
                axes.plot([], [], marker=MARKERS[index % len(MARKERS)], label=label, **look)
            for each in own:
                _draw(loss, accuracy, both, each, MARKERS[index % len(MARKERS)], look)
        loss.set(xlabel="epoch", ylabel="training loss")
        accuracy.set(xlabel="epoch", ylabel=axis)
        both.set(xlabel="training loss", ylabel=axis)
        for axes in (loss, accuracy):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if not trajectories:
            for axes in (loss, accuracy, both):
                say_nothing_measured(axes)
        handles, labels = loss.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)))
        figure.suptitle(title)
        save(figure, paths)


def _draw(
    loss: Axes, accuracy: Axes, both: Axes, each: Trajectory, marker: str, look: dict[str, Any]
) -> None:
    """Lines over the epochs, with a marker where the training ends."""
    epochs = range(1, len(each.loss) + 1)
    panels = ((loss, epochs, each.loss), (accuracy, epochs, each.accuracy))
    for axes, across, upward in (*panels, (both, each.loss, each.accuracy)):
        found = measured(across, upward)
        axes.plot(*found, linewidth=1, **look)
        axes.plot(*(values[-1:] for values in found), marker=marker, markersize=5, **look)
