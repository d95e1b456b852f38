"""Raw rows of the evidence, and which of them are missing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from micro import MICRO, changed

from benchmarks.evidence import runs
from benchmarks.evidence.__main__ import _numbers
from benchmarks.evidence.rows import COLUMNS, add_rows, measured, read_rows, settings_of
from mtpd.experiment.load import load_experiment
from mtpd.files import sha256_of, write_json
from mtpd.layout import Layout, ModelFolder
from mtpd.settings.experiment import Experiment


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def experiment(*changes: tuple[str, Any]) -> Experiment:
    path = Path("experiment.yaml")
    path.write_text(yaml.safe_dump(changed(MICRO, *changes)))
    return load_experiment(path)


def row(arm: str, seed: int, ap: float = 10.0, settings: str = "x") -> pd.DataFrame:
    values = dict.fromkeys(COLUMNS, "") | {"arm": arm, "seed": seed, "AP": ap, "settings": settings}
    return pd.DataFrame([values | {"train_loss": 0.5}])


def test_rows_are_added_in_order_and_take_the_place_of_older_ones() -> None:
    assert read_rows("some").empty
    add_rows("some", row("direct", 1))
    add_rows("some", pd.concat([row("direct", 0), row("bgs", 1, 12.0)]))
    add_rows("some", row("direct", 1, 11.0))
    found = read_rows("some")
    assert list(zip(found["arm"], found["seed"], found["AP"], strict=True)) == [
        ("bgs", 1, 12.0),
        ("direct", 0, 10.0),
        ("direct", 1, 11.0),
    ]
    assert list(found.columns) == COLUMNS


def test_an_arm_depends_on_its_own_settings_and_no_seed() -> None:
    before = experiment()
    own = settings_of(before, "direct")
    for unrelated in (
        ("seed", 7),
        ("description", "other"),
        ("resources.train.threads", 2),
        ("runs.another", {"method": "fm", "order": ["b"]}),
        ("methods.other", {"losses": [{"type": "cwd"}]}),
    ):
        assert settings_of(experiment(unrelated), "direct") == own
    for related in (
        ("data.train", 9),
        ("training.epochs", 2),
        ("methods.fm.losses", [{"type": "cwd"}]),
        ("runs.direct.order", "ascending"),
        ("ordering.images", 5),
    ):
        assert settings_of(experiment(related), "direct") != own
    assert settings_of(before, None) == settings_of(experiment(("methods.fm.training", {})), None)


def test_given_weights_count_by_their_bytes() -> None:
    weights = Path("teacher.pth")
    weights.write_bytes(b"one")
    given = [("teachers.a.weights", str(weights))]
    before = settings_of(experiment(*given), "direct")
    hashed = [*given, ("teachers.a.sha256", sha256_of(weights))]
    assert settings_of(experiment(*hashed), "direct") == before
    weights.write_bytes(b"other")
    assert settings_of(experiment(*given), "direct") != before


def test_an_arm_depends_on_the_run_that_gives_its_budget() -> None:
    budget = ("runs.direct.budget", "progressive")
    longer = ("runs.progressive.order", ["a", "b", "c"])
    assert settings_of(experiment(budget), "direct") != settings_of(
        experiment(budget, longer), "direct"
    )


def finished(folder: ModelFolder, ap: float, epochs: int, content: bytes = b"weights") -> None:
    folder.path.mkdir(parents=True)
    folder.weights.write_bytes(content)
    figures = {"bbox_mAP": ap, "bbox_mAP_50": 2 * ap}
    write_json(
        folder.metrics,
        {
            "splits": {
                "val": figures,
                "test": {key: value + 0.01 for key, value in figures.items()},
            },
            "reported_split": "test",
            "parameters": 1,
            "flops": 1,
            "latency_ms": 1,
        },
    )
    train = {"loss": 3.0, "loss_cls": 1.0, "loss_distill_feature_matching": 2.0}
    history = [{"iterations": 2, "train": train, "val": {"bbox_mAP": ap}}] * epochs
    write_json(folder.history, {"epochs": history})


def test_what_was_measured_becomes_rows() -> None:
    told = experiment(("runs.direct", ...), ("seed", 3))
    layout = Layout(Path("results"), "experiment")
    finished(layout.detector("student"), 0.1, 2)
    finished(layout.stage("fm", "a"), 0.2, 1)
    finished(layout.stage("fm", "a+b"), 0.3, 1)
    rows = measured(told, layout)
    assert list(rows["arm"]) == ["baseline", "progressive"]
    baseline, progressive = (dict(found) for _, found in rows.iterrows())
    assert (baseline["AP"], baseline["val_AP"], baseline["steps"]) == (11.0, 10.0, 4)
    assert progressive["AP"] == pytest.approx(31)
    assert progressive["AP50"] == pytest.approx(61)
    assert progressive["teachers"] == "a > b"
    assert progressive["epochs"] == "2+1+1"
    assert progressive["steps"] == 8
    assert progressive["train_loss"] == 1.0
    assert set(rows["seed"]) == {3}


def test_every_order_of_a_pool() -> None:
    raw = changed(MICRO, ("runs", {}))
    runs.add_every_order(raw, 2)
    assert len(raw["runs"]) == 3 + 6
    assert raw["runs"]["b-then-a"] == {"method": "fm", "order": ["b", "a"]}
    path = Path("experiment.yaml")
    path.write_text(yaml.safe_dump(raw))
    assert "c-then-b" in load_experiment(path).runs


def test_only_what_has_no_row_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config/experiments").mkdir(parents=True)
    template = Path("config/experiments/some.yaml")
    template.write_text(yaml.safe_dump(MICRO))
    asked: list[list[str]] = []

    def run(command: list[str], check: bool) -> None:
        assert check
        asked.append(sorted(yaml.safe_load((runs.SEEDED / "some-seed4.yaml").read_text())["runs"]))
        assert "experiments=some-seed4" in command

    def rows_of(told: Experiment, layout: Layout) -> pd.DataFrame:
        return pd.concat(
            [row(arm, told.seed, settings=settings_of(told, arm)) for arm in told.runs]
        )

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(runs, "measured", rows_of)
    assert runs.run_seed("some", 4, cores=1)
    assert not runs.run_seed("some", 4, cores=1)
    changed_run = ("runs.direct", {"method": "fm", "order": ["b"]})
    template.write_text(yaml.safe_dump(changed(MICRO, changed_run)))
    assert runs.run_seed("some", 4, cores=1)
    assert asked == [["direct", "progressive"], ["direct"]]


def test_a_budget_stays_where_a_missing_run_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config/experiments").mkdir(parents=True)
    settings = changed(MICRO, ("runs.direct.budget", "progressive"))
    Path("config/experiments/some.yaml").write_text(yaml.safe_dump(settings))
    done = experiment(("runs.direct.budget", "progressive"))
    add_rows("some", row("progressive", 0, settings=settings_of(done, "progressive")))
    kept: list[list[str]] = []
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda *_, **__: kept.append(
            sorted(yaml.safe_load((runs.SEEDED / "some-seed0.yaml").read_text())["runs"])
        ),
    )
    monkeypatch.setattr(runs, "measured", lambda *_: row("direct", 0))
    assert runs.run_seed("some", 0, cores=1)
    assert kept == [["direct", "progressive"]]


def test_numbers() -> None:
    assert _numbers("0-3,7") == [0, 1, 2, 3, 7]
