"""What the store keeps, who has it, and what may go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from mtpd.cli import app
from mtpd.experiment.records import Record
from mtpd.layout import Layout
from mtpd.overview.kept import what_is_kept
from mtpd.settings.runtime import workflow_settings
from mtpd.store import Store, new_entry


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the experiment "demo" and an empty store."""
    (tmp_path / "config" / "experiments").mkdir(parents=True)
    (tmp_path / "config" / "experiments" / "demo.yaml").write_text("{}")
    (tmp_path / "config" / "config.yaml").write_text(yaml.safe_dump({"experiments": ["demo"]}))
    monkeypatch.chdir(tmp_path)
    workflow_settings.cache_clear()
    return tmp_path


def keep(identity: str, target: str, made: str, kind: str = "training") -> None:
    made_in = Path("made") / identity
    made_in.mkdir(parents=True)
    (made_in / "model.pth").write_bytes(b"12345")
    files = {"model.pth": made_in / "model.pth"}
    entry = new_entry(kind, identity, "demo", target, files, {})
    Store(Path(".mtpd-store")).put(replace(entry, made=made), made_in)


def use(identity: str, *task: str, experiment: str = "demo") -> None:
    rule, *names = task
    path = Layout(Path("results"), experiment).record(rule, tuple(names))
    Record(identity, {}, {}).save(path)


def kept() -> dict[str, tuple[tuple[str, ...], bool]]:
    found = what_is_kept(Store(Path(".mtpd-store")), Path("results"), {"demo"})
    return {one.entry.identity: (one.experiments, one.is_needed) for one in found}


def test_results_that_an_experiment_has_are_needed(folder: Path) -> None:
    keep("old", "a", "2026-01-01")
    keep("new", "a", "2026-01-02")
    use("new", "train", "a")
    use("new", "train", "b.c", experiment="other")
    assert kept() == {"new": (("demo", "other"), True), "old": ((), False)}


def test_of_deleted_results_the_newest_is_needed(folder: Path) -> None:
    keep("old", "fm a+b", "2026-01-01")
    keep("new", "fm a+b", "2026-01-02")
    assert kept() == {"new": ((), True), "old": ((), False)}


def test_a_stage_and_a_detector_of_one_name_are_two_jobs(folder: Path) -> None:
    keep("stage", "fm a", "2026-01-01")
    keep("features", "a", "2026-01-02", kind="features")
    use("other", "train", "a")
    assert kept()["stage"] == ((), True)
    assert kept()["features"] == ((), True)


def test_clean_asks_and_removes_what_is_not_needed(folder: Path) -> None:
    keep("old", "a", "2026-01-01")
    keep("new", "a", "2026-01-02")
    use("new", "train", "a")
    state = Path(".mtpd-store/states/x/000000001.pth")
    state.parent.mkdir(parents=True)
    state.write_bytes(b"123")
    runner = CliRunner()
    listed = runner.invoke(app, ["store", "list"])
    assert "2 results, 10 B" in listed.output
    assert "1 trainings under way or interrupted, 3 B of states" in listed.output
    refused = runner.invoke(app, ["store", "clean"], input="n\n")
    assert refused.exit_code == 1
    assert set(kept()) == {"new", "old"}
    done = runner.invoke(app, ["store", "clean", "--yes"])
    assert done.exit_code == 0, done.output
    assert set(kept()) == {"new"}
    assert state.exists()
    assert "Everything" in runner.invoke(app, ["store", "clean"]).output
    maps = Path(".mtpd-store/teacher-maps/x/level00.npy")
    maps.parent.mkdir(parents=True)
    maps.write_bytes(b"12345")
    assert "teachers' maps, 5 B" in runner.invoke(app, ["store", "list"]).output
    runner.invoke(app, ["store", "clean", "--yes", "--states"])
    assert not state.exists()
    assert maps.exists()
    removed = runner.invoke(app, ["store", "clean", "--yes", "--maps"])
    assert "Removed 0 results and the teachers' maps, 5 B." in removed.output
    assert not maps.exists()
