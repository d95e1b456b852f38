"""The experiment's table and figure, from the metrics and histories of its jobs."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from mtpd.chains import Chain
from mtpd.experiment.runs import all_members, chains_of_runs, members, run_of, starts_afresh
from mtpd.files import read_json
from mtpd.layout import ModelFolder
from mtpd.reporting.curves import RunCurve, StageCurve, draw_chains
from mtpd.reporting.table import with_means, write_table
from mtpd.steps.context import Context


def write_results(context: Context) -> None:
    """Write the table in three formats and the figure of validation AP in two."""
    layout = context.layout
    chains = _chains(context)
    write_table(_table(context, chains), *(layout.table(kind) for kind in ("csv", "md", "tex")))
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


def _chains(context: Context) -> dict[str, Chain]:
    """Chain of every run; those that the settings do not decide stand in ``order.json``."""
    decided = chains_of_runs(context.experiment, {})
    if len(decided) == len(all_members(context.experiment)):
        return decided
    runs = read_json(context.layout.order, "run the order step first")["runs"]
    return {name: Chain.parse(run["chain"]) for name, run in runs.items()}


def _table(context: Context, chains: dict[str, Chain]) -> pd.DataFrame:
    """The student without teacher, the teachers, every chain, and means over seeds."""
    experiment, layout = context.experiment, context.layout
    rows = []
    for name in experiment.detectors:
        role = "student without teacher" if name == experiment.student.name else "teacher"
        rows.append(_row(role, name, "", layout.detector(name), [layout.detector(name)]))
    for name, chain in chains.items():
        method = run_of(experiment, name).method
        folders = [layout.stage(method, str(prefix)) for prefix in chain.prefixes()]
        baseline = [layout.detector(experiment.student.name)]
        if starts_afresh(experiment, method, chain.prefixes()[0]):
            baseline = []
        trained = [*baseline, *folders]
        rows.append(_row(name, _title(chain), method, folders[-1], trained))
    table = pd.DataFrame(rows).astype({"images per step": "Int64"})
    return with_means(table, {name: members(experiment, name) for name in experiment.runs})


def _row(
    role: str, detectors: str, method: str, folder: ModelFolder, trained: list[ModelFolder]
) -> dict[str, Any]:
    metrics = _metrics(folder)
    figures = metrics["splits"][metrics["reported_split"]]
    histories = [read_json(part.history)["epochs"] for part in trained]
    seconds = sum(epoch["train_seconds"] for history in histories for epoch in history)
    return {
        "run": role,
        "detectors": detectors,
        "method": method,
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
        "images per step": read_json(folder.history).get("images_per_step"),
        "learning rate": read_json(folder.history).get("learning_rate"),
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
