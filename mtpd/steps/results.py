"""The experiment's table and figure, from the metrics and histories of its jobs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mtpd.chains import Chain
from mtpd.experiment.runs import (
    chains_of_runs,
    has_undecided_orders,
    members,
    run_of,
    starts_afresh,
)
from mtpd.files import read_json
from mtpd.layout import ModelFolder
from mtpd.reporting.curves import RunCurve, StageCurve, draw_chains
from mtpd.reporting.table import with_means, write_table
from mtpd.steps.context import Context

STUDENT, TEACHER = "student without teacher", "teacher"
"""What rows of detectors are called in the table."""


def write_results(context: Context) -> None:
    """Write the table in three formats and the figure of validation AP in two."""
    layout = context.layout
    chains = _chains(context)
    write_table(
        _table(context, _rows(context, chains)),
        *(layout.table(kind) for kind in ("csv", "md", "tex")),
    )
    experiment = context.experiment
    student = experiment.student.name
    references = {
        name: ap
        for name in (student, *_teachers(chains))
        if (ap := _metrics(layout.detector(name))["splits"]["val"]["bbox_mAP"]) is not None
    }
    draw_chains(
        [_curve(context, name, chain) for name, chain in chains.items()],
        references,
        layout.experiment,
        [layout.figure("val_ap", kind) for kind in ("png", "pdf")],
    )


def results_so_far(context: Context, chains: Mapping[str, Chain]) -> tuple[pd.DataFrame, int]:
    """The table of the models that are trained and evaluated, and the number of the others."""
    rows = list(_rows(context, chains))
    done = [row for row in rows if row.is_done]
    return _table(context, done), len(rows) - len(done)


def _chains(context: Context) -> dict[str, Chain]:
    """Chain of every run; those that the settings do not decide stand in ``order.json``."""
    if not has_undecided_orders(context.experiment):
        return chains_of_runs(context.experiment, {})
    runs = read_json(context.layout.order, "run the order step first")["runs"]
    return {name: Chain.parse(run["chain"]) for name, run in runs.items()}


@dataclass(frozen=True)
class Row:
    """A row of the table: a model, and the trainings that it comes from."""

    role: str
    detectors: str
    method: str
    folder: ModelFolder
    trained: tuple[ModelFolder, ...]

    @property
    def is_done(self) -> bool:
        """Whether all that the row shows is there."""
        needed = (self.folder.metrics, *(part.history for part in self.trained))
        return all(path.is_file() for path in needed)


def _rows(context: Context, chains: Mapping[str, Chain]) -> Iterator[Row]:
    """The student without teacher, the teachers, and every chain."""
    experiment, layout = context.experiment, context.layout
    for name in experiment.detectors:
        role = STUDENT if name == experiment.student.name else TEACHER
        yield Row(role, name, "", layout.detector(name), (layout.detector(name),))
    for name, chain in chains.items():
        method = run_of(experiment, name).method
        folders = [layout.stage(method, str(prefix)) for prefix in chain.prefixes()]
        baseline = [layout.detector(experiment.student.name)]
        if starts_afresh(experiment, method, chain.prefixes()[0]):
            baseline = []
        yield Row(name, _title(chain), method, folders[-1], (*baseline, *folders))


def _table(context: Context, rows: Iterable[Row]) -> pd.DataFrame:
    """The rows with their figures, and means over seeds."""
    experiment = context.experiment
    table = pd.DataFrame([_row(row) for row in rows])
    if len(table):
        table = table.astype({"images per step": "Int64"})
        table = with_means(table, {name: members(experiment, name) for name in experiment.runs})
    return table


def _row(row: Row) -> dict[str, Any]:
    metrics = _metrics(row.folder)
    figures = metrics["splits"][metrics["reported_split"]]
    histories = [read_json(part.history)["epochs"] for part in row.trained]
    seconds = sum(epoch["train_seconds"] for history in histories for epoch in history)
    history = read_json(row.folder.history)
    return {
        "run": row.role,
        "detectors": row.detectors,
        "method": row.method,
        "AP": figures.get("bbox_mAP"),
        "AP50": figures.get("bbox_mAP_50"),
        "AP75": figures.get("bbox_mAP_75"),
        "mask AP": figures.get("segm_mAP"),
        "sAP": figures.get("sAP"),
        "crowd AP": figures.get("crowd_AP"),
        "MR": figures.get("crowd_MR"),
        "JI": figures.get("crowd_JI"),
        "val AP": metrics["splits"]["val"].get("bbox_mAP"),
        "epochs": "+".join(str(len(history)) for history in histories if history),
        "images per step": history.get("images_per_step"),
        "learning rate": history.get("learning_rate"),
        "training minutes": round(seconds / 60, 1),
        "parameters (M)": round(metrics["parameters"] / 1e6, 2),
        "FLOPs (G)": None if metrics["flops"] is None else round(metrics["flops"] / 1e9, 3),
        "latency (ms)": round(metrics["latency_ms"], 1),
        "split": metrics["reported_split"],
    }


def _curve(context: Context, name: str, chain: Chain) -> RunCurve:
    method = run_of(context.experiment, name).method
    stages = []
    for prefix in chain.prefixes():
        history = read_json(context.layout.stage(method, str(prefix)).history)["epochs"]
        ap = tuple(epoch.get("val", {}).get("bbox_mAP", math.nan) for epoch in history)
        stages.append(StageCurve(prefix.last.teacher or "no teacher", ap))
    return RunCurve(name, tuple(stages))


def _title(chain: Chain) -> str:
    return " → ".join(stage.teacher or "no teacher" for stage in chain.stages)


def _teachers(chains: dict[str, Chain]) -> list[str]:
    """Teachers of all chains, each once, in order of appearance."""
    stages = [stage for chain in chains.values() for stage in chain.stages]
    return list(dict.fromkeys(stage.teacher for stage in stages if stage.teacher))


def _metrics(folder: ModelFolder) -> dict[str, Any]:
    return read_json(folder.metrics, "run the evaluate step first")
