"""The figure of a progressive chain: validation AP over its epochs, one colour for each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtpd.reporting.figures import PALETTE, measured, save, style


@dataclass(frozen=True)
class StageCurve:
    """Validation AP (fractions) after each epoch of one stage; NaN where nothing was measured."""

    label: str
    ap: tuple[float, ...]


@dataclass(frozen=True)
class RunCurve:
    """A run and its stages, in order."""

    name: str
    stages: tuple[StageCurve, ...]


def draw_chains(
    runs: Sequence[RunCurve], references: dict[str, float], title: str, paths: Sequence[Path]
) -> None:
    """Draw every run with several stages in colours, over the runs of one stage in grey.

    Args:
        runs: All runs.
        references: Constant lines, such as the baseline's and the teachers' AP (fractions).
        title: Above the figure.
        paths: Files to write; their suffix gives the format.
    """
    chains = [run for run in runs if len(run.stages) > 1] or list(runs[:1])
    others = [run for run in runs if run not in chains]
    with style():
        figure = Figure(figsize=(6.4, 3.8 * max(1, len(chains))), layout="constrained")
        panels = figure.subplots(max(1, len(chains)), 1, squeeze=False)[:, 0]
        for panel, chain in zip(panels, chains, strict=False):
            _draw(panel, chain, others, references)
        figure.suptitle(title)
        save(figure, paths)


def _draw(
    panel: Axes, chain: RunCurve, others: Sequence[RunCurve], references: dict[str, float]
) -> None:
    greys = [("0.55", "-"), ("0.55", "--"), ("0.3", ":"), ("0.3", "-.")]
    for index, run in enumerate(others):
        colour, style = greys[index % len(greys)]
        ap = [value for stage in run.stages for value in stage.ap]
        line = measured(range(1, len(ap) + 1), _percent(ap))
        panel.plot(*line, style, color=colour, label=run.name, linewidth=1.2)
    begin = 0
    for index, stage in enumerate(chain.stages):
        epochs = range(begin + 1, begin + len(stage.ap) + 1)
        label = f"{chain.name}, stage {index + 1}: {stage.label}"
        panel.plot(
            *measured(epochs, _percent(stage.ap)),
            "o-",
            color=PALETTE[index % len(PALETTE)],
            markersize=3,
            label=label,
        )
        begin += len(stage.ap)
    for name, level in references.items():
        panel.axhline(100 * level, color="0.3", linestyle=(0, (1, 3)), linewidth=1)
        panel.annotate(
            f"{name} {100 * level:.1f}",
            (0.01, 100 * level),
            xycoords=("axes fraction", "data"),
            ha="left",
            va="bottom",
            fontsize=7,
        )
    panel.set_xlabel("epoch of distillation")
    panel.set_ylabel("validation box AP")
    panel.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)


def _percent(ap: Sequence[float]) -> list[float]:
    return [100 * value for value in ap]
