"""The Python API: what ``import mtpd`` gives, on an experiment that is run once for all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from micro import MICRO, PROJECT, changed

import mtpd
from mtpd import api
from mtpd.experiment.runs import order_settings
from mtpd.files import digest_of, write_json

CHANGES = [
    ("teachers.c", ...),
    (
        "runs",
        {"chosen": {"method": "fm", "order": "bgs"}, "alone": {"method": "fm", "order": "none"}},
    ),
]
SETTINGS = changed(MICRO, *CHANGES)


def in_new_process(code: str, folder: Path = PROJECT) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_import_costs_nothing() -> None:
    code = (
        "import sys, mtpd\n"
        "loaded = {'torch', 'pandas', 'pydantic', 'numpy', 'mtpd.api'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "assert {'run', 'Experiment'} <= set(dir(mtpd))\n"
        "mtpd.Experiment\n"
        "heavy = {'torch', 'mmengine', 'pandas', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    in_new_process(code)


def test_the_names_are_those_of_the_api_and_of_the_stub() -> None:
    assert set(mtpd.__all__) == set(api.__all__)
    for name in mtpd.__all__:
        assert getattr(mtpd, name) is getattr(api, name)
        assert getattr(mtpd, name).__doc__
    stub = (PROJECT / "mtpd" / "__init__.pyi").read_text()
    for name in mtpd.__all__:
        assert f" import {name} as {name}\n" in stub
    with pytest.raises(AttributeError, match="no attribute 'rum'"):
        mtpd.rum  # type: ignore[attr-defined]  # noqa: B018


def test_an_experiment_is_written_and_opened(working: Path) -> None:
    as_python = changed(
        SETTINGS,
        ("pipeline.size", (64, 64)),
        ("student.config", Path(SETTINGS["student"]["config"])),
    )
    made = mtpd.Experiment.create("own", as_python)
    assert made.path == Path("config/experiments/own.yaml")
    assert mtpd.Experiment("own").settings == made.settings
    assert made.settings.student.name == "student"
    assert mtpd.Experiment.create("own", SETTINGS).name == "own"
    other = changed(SETTINGS, ("seed", 7))
    assert mtpd.Experiment("demo").name == "demo"  # one that comes with the workflow
    with pytest.raises(mtpd.UserError, match="is there already, with other settings"):
        mtpd.Experiment.create("own", other)
    assert mtpd.Experiment.create("own", other, replace=True).settings.seed == 7


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("own", ("trainin", {}), "own.yaml: trainin: unknown key"),
        (
            "own",
            ("student.config", "no.py"),
            "own.yaml: student.config: there is no config 'no.py'",
        ),
        ("-b", ("seed", 1), "not a valid name"),
        ("paper", ("seed", 1), "name of a folder that all experiments share"),
    ],
)
def test_a_wrong_experiment_is_not_written(
    working: Path, name: str, change: Any, words: str
) -> None:
    with pytest.raises(mtpd.UserError) as caught:
        mtpd.Experiment.create(name, changed(SETTINGS, change))
    assert words in str(caught.value)
    assert not (working / "config").exists()


def test_what_is_not_there_yet_is_said(working: Path) -> None:
    experiment = mtpd.Experiment.create("own", SETTINGS)
    assert experiment.models == {}
    assert experiment.feature_caches == {}
    for wanted in (
        lambda: experiment.results,
        lambda: experiment.costs,
        lambda: experiment.order("chosen"),
        lambda: experiment.reasons("chosen"),
    ):
        with pytest.raises(
            mtpd.UserError, match=r"has not been made yet; run .* mtpd\.run\('own'\)"
        ):
            wanted()
    assert experiment.order("alone") == ()
    assert experiment.reasons("alone") == []
    with pytest.raises(mtpd.UserError, match="own/alone: is not trained yet"):
        experiment.student("alone")
    named = mtpd.Experiment.create("named", changed(MICRO, ("runs.direct.order", ["c"])))
    assert named.order("progressive") == ("a", "b")
    assert len(named.reasons("progressive")) == 1
    with pytest.raises(mtpd.UserError, match="there is no run 'other'; it has: chosen, alone"):
        experiment.order("other")


# Costs towards the strongest teacher by hand: `near` adapts to it best, the student worst.
COSTS = {
    "student": {"near": 0.5, "far": 0.5, "best": 0.9},
    "near": {"far": 0.4, "best": 0.2},
    "far": {"near": 0.4, "best": 0.6},
    "best": {"near": 0.1, "far": 0.1},
}
SCORES = {"student": 0.1, "near": 0.3, "far": 0.2, "best": 0.5}


def test_orders_from_costs() -> None:
    chosen = mtpd.order(COSTS, SCORES, "student", max_teachers=2)
    assert chosen.teachers == ("near", "best")
    assert chosen.jumps == (0.5, 0.2)
    reasons = mtpd.explain(chosen)
    assert reasons[0].startswith("best is the last teacher")
    assert len(reasons) == 3
    assert mtpd.order(None, SCORES, "student", "direct").teachers == ("best",)
    assert mtpd.order(None, SCORES, "student", ["far", "near"]).teachers == ("far", "near")
    assert mtpd.order(COSTS, SCORES, "student").teachers == ("far", "near", "best")
    with pytest.raises(mtpd.UserError, match="there is no order 'bsg'"):
        mtpd.order(COSTS, SCORES, "student", "bsg")


def test_costs_of_features_lead_to_an_order() -> None:
    random = np.random.default_rng(0)
    seen = random.normal(size=(40, 8, 6))
    features = {
        "student": {8: seen[..., :2]},
        "whole": {8: seen},
        "same": {8: seen @ random.normal(size=(6, 6))},
    }
    table = mtpd.costs(features)
    assert list(table.index) == list(table.columns) == list(features)
    assert np.isnan(np.diag(table)).all()
    assert table.loc["whole", "same"] == pytest.approx(0, abs=0.01)
    assert table.loc["student", "whole"] > 0.5
    assert mtpd.costs(features, ridge=10).loc["whole", "same"] > 0.1
    order = mtpd.order(table, {"student": 0, "whole": 2, "same": 1}, "student")
    assert order.teachers == ("same", "whole")


def test_costs_of_what_does_not_compare(tmp_path: Path) -> None:
    with pytest.raises(mtpd.UserError, match="images×points are 3×8, but 4×8"):
        mtpd.costs({"a": {8: np.ones((4, 8, 2))}, "b": {8: np.ones((3, 8, 2))}})
    with pytest.raises(mtpd.UserError, match="is not a readable feature cache"):
        mtpd.costs({"a": tmp_path / "none.safetensors"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"cores": 0}, "cores: is 0; give 1 or more"),
        (
            {"targets": ["no_rule"], "show": False},
            r"snakemake: own: has ended with status 1 \(.*no_rule",
        ),
    ],
)
def test_a_run_that_cannot_be(working: Path, arguments: dict[str, Any], words: str) -> None:
    mtpd.Experiment.create("own", SETTINGS)
    with pytest.raises(mtpd.UserError, match=words):
        mtpd.run("own", **arguments)


def test_a_dry_run_shows_what_would_run(working: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (working / "elsewhere").mkdir()
    experiment = mtpd.Experiment.create("own", SETTINGS)
    moved = experiment.path.rename(working / "elsewhere" / "2024.yaml")
    found = mtpd.run(moved, cores=1, results="made", dry_run=True)
    assert "output: made/2024/detectors/student/model.pth" in capsys.readouterr().out
    assert found.layout.root == Path("made/2024")
    assert not (working / "made").exists()


def test_a_profile_that_comes_with_the_workflow(working: Path) -> None:
    from mtpd.steps.workflow import Call

    command = Call(Path("own.yaml"), profile="slurm").command()
    assert command[command.index("--profile") + 1] == str(PROJECT.resolve() / "profiles" / "slurm")
    assert "--cores" not in command
    (working / "slurm").mkdir()
    command = Call(Path("own.yaml"), profile="slurm", cores=3).command()
    assert command[command.index("--profile") + 1] == "slurm"
    assert command[command.index("--cores") + 1] == "3"


def test_what_steps_have_written_is_read(working: Path) -> None:
    experiment = mtpd.Experiment.create("own", SETTINGS)
    layout = experiment.layout
    runs = {"chosen": {"chain": "a+b", "teachers": ["a", "b"], "trace": [{"reason": "b is last"}]}}
    settings = order_settings(experiment.settings)
    write_json(layout.order, {"runs": runs, "config_hash": digest_of(settings)})
    write_json(layout.costs, {"costs": {"a": {"b": 0.5}, "b": {"a": 0.25}}})
    layout.table("csv").parent.mkdir()
    layout.table("csv").write_text("run,AP\nchosen,0.227\n")
    assert experiment.order("chosen") == ("a", "b")
    assert experiment.reasons("chosen") == ["b is last"]
    assert experiment.costs.loc["a", "b"] == 0.5
    assert experiment.results.set_index("run").loc["chosen", "AP"] == 0.227
    stage = layout.stage("fm", "a+b")
    stage.path.mkdir(parents=True)
    for path in (stage.weights, stage.config):
        path.touch()
    assert experiment.student("chosen").weights == stage.weights
    assert list(experiment.models) == ["chosen"]
    write_json(layout.order, {"runs": runs, "config_hash": "of other settings"})
    with pytest.raises(mtpd.UserError, match=r"order\.json: is out of date for chosen"):
        experiment.order("chosen")
