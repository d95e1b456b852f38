"""Raw rows of evidence: one for each arm and seed, in one CSV file for each experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from mtpd.experiment.orders import known_chains
from mtpd.experiment.runs import run_of
from mtpd.files import digest_of, read_json, sha256_of, whole_file
from mtpd.layout import Layout, ModelFolder
from mtpd.overview.records import read_history, read_metrics
from mtpd.settings.experiment import Experiment

FOLDER = Path("docs/evidence")
STABILITY = FOLDER / "costs.csv"
BASELINE = "baseline"
JOINT = "-then-"
"""Between the teachers in the name of an arm that is an order, written out."""

KEY = ["method", "arm", "seed", "start"]
COLUMNS = [
    *KEY,
    "settings",
    "teachers",
    "epochs",
    "steps",
    "AP",
    "AP50",
    "val_AP",
    "train_loss",
    "weights_sha256",
]
"""AP, AP50 (test) and val_AP in percent; train_loss is the student's own in its last epoch; steps
are iterations of the whole student; settings, start and weights_sha256 are the beginnings of
digests. ``start`` is that of the baseline's weights: the same seed gives others on another kind of
processor, and only arms of the same start are paired."""


def read_rows(name: str) -> pd.DataFrame:
    """Rows of the experiment ``name``; empty where there are none yet."""
    path = FOLDER / f"{name}.csv"
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(path, keep_default_na=False, na_values={"train_loss": [""]})


def add_rows(name: str, rows: pd.DataFrame) -> None:
    """Add rows to the experiment's file, in place of those of the same arm and seed."""
    both = pd.concat([read_rows(name), rows]) if len(read_rows(name)) else rows
    kept = both.drop_duplicates(KEY, keep="last").sort_values(KEY)
    with whole_file(FOLDER / f"{name}.csv") as temporary:
        kept[COLUMNS].to_csv(temporary, index=False)


def settings_of(experiment: Experiment, run: str | None) -> str:
    """Digest of all that an arm depends on beside the seed; None: the baseline."""
    parts = {"data", "pipeline", "training", "student"}
    content: dict[str, Any] = {}
    if run is not None:
        parts |= {"teachers", "ordering"}
        chosen = experiment.runs[run]
        content["run"] = chosen.model_dump(mode="json", exclude_defaults=True)
        content["method"] = experiment.method(chosen.method).model_dump(
            mode="json", exclude_defaults=True
        )
        if chosen.budget is not None:
            content["budget"] = settings_of(experiment, chosen.budget)
    content |= experiment.model_dump(mode="json", include=parts, exclude_defaults=True)
    for name, teacher in content.get("teachers", {}).items():
        weights = experiment.teachers[name].weights
        if weights is not None:
            teacher.pop("sha256", None)
            teacher["weights"] = sha256_of(Path(weights))
    return digest_of(content)[:12]


def measured(experiment: Experiment, layout: Layout) -> pd.DataFrame:
    """Rows of everything that one seed of an experiment has measured."""
    student = layout.detector(experiment.student.name)
    rows = [_row(experiment, None, [student])]
    for run, chain in known_chains(experiment, layout).items():
        method = run_of(experiment, run).method
        stages = [layout.stage(method, str(prefix)) for prefix in chain.prefixes()]
        teachers = [stage.teacher or "none" for stage in chain.stages]
        rows.append(_row(experiment, run, [student, *stages], teachers))
    return pd.DataFrame(rows, columns=COLUMNS)


def costs_file(name: str) -> Path:
    """Adaptation costs of all seeds of the experiment ``name``."""
    return FOLDER / f"costs_of_{name}.csv"


def add_costs(name: str, experiment: Experiment, layout: Layout) -> None:
    """Add the costs that one seed has measured, if it has, in place of those of the same start.

    Columns: seed, start, source, target, cost, and validation AP of the source.
    """
    if not layout.costs.exists():
        return
    costs: dict[str, dict[str, float]] = read_json(layout.costs)["costs"]
    start = _start(layout.detector(experiment.student.name))
    scores = {detector: read_metrics(layout.detector(detector)) for detector in costs}
    rows = pd.DataFrame(
        [
            {
                "seed": experiment.seed,
                "start": start,
                "source": source,
                "target": target,
                "cost": round(cost, 5),
                "score": round(100 * (found.splits["val"].get("bbox_mAP") or 0), 3),
            }
            for source, row in costs.items()
            if (found := scores[source]) is not None
            for target, cost in row.items()
        ]
    )
    path = costs_file(name)
    others = pd.read_csv(path) if path.exists() else rows.iloc[:0]
    kept = pd.concat([others[others["start"] != start], rows]).sort_values(
        ["seed", "start", "source", "target"]
    )
    with whole_file(path) as temporary:
        kept.to_csv(temporary, index=False)


def _start(baseline: ModelFolder) -> str:
    return sha256_of(baseline.weights)[:12]


def _row(
    experiment: Experiment,
    run: str | None,
    folders: list[ModelFolder],
    teachers: list[str] | None = None,
) -> dict[str, Any]:
    metrics, histories = read_metrics(folders[-1]), [read_history(each) for each in folders]
    assert metrics is not None
    epochs = [history.epochs for history in histories if history is not None]
    figures = {
        "AP": metrics.value("bbox_mAP"),
        "AP50": metrics.value("bbox_mAP_50"),
        "val_AP": metrics.splits["val"].get("bbox_mAP"),
    }
    return {
        "method": "" if run is None else run_of(experiment, run).method,
        "arm": run or BASELINE,
        "seed": experiment.seed,
        "start": _start(folders[0]),
        "settings": settings_of(experiment, run),
        "teachers": " > ".join(teachers or []),
        "epochs": "+".join(str(len(part)) for part in epochs),
        "steps": sum(epoch.iterations for part in epochs for epoch in part),
        **{key: round(100 * (value or 0), 3) for key, value in figures.items()},
        "train_loss": round(epochs[-1][-1].detection_loss, 5),
        "weights_sha256": sha256_of(folders[-1].weights)[:12],
    }
