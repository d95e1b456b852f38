"""What a person may call a model, and which files are meant by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import MICRO, changed

from mtpd.errors import UserError
from mtpd.files import write_json
from mtpd.layout import Layout, ModelFolder
from mtpd.overview.models import find_model
from mtpd.settings.runtime import VARIABLE, workflow_settings


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """The micro experiment, which the names of models refer to, without results."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "config" / "experiments"
    folder.mkdir(parents=True)
    (folder.parent / "config.yaml").write_text("experiments: [micro]\n")
    settings = changed(MICRO, ("runs.by-costs", {"method": "fm", "order": "bgs"}))
    (folder / "micro.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.delenv(VARIABLE, raising=False)
    workflow_settings.cache_clear()
    return Layout(Path("results"), "micro")


def train(folder: ModelFolder, ap: float | None = None) -> ModelFolder:
    """Leave what a training, and with ``ap`` an evaluation, leaves."""
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.weights.write_bytes(b"weights")
    folder.config.write_text("model = {}")
    if ap is not None:
        splits = {"val": {"bbox_mAP": ap}, "test": {"bbox_mAP": 1 - ap}}
        write_json(folder.metrics, {"splits": splits, "reported_split": "test"})
    return folder


def test_a_folder_is_its_student_or_its_detector(layout: Layout) -> None:
    for folder in (layout.stage("fm", "a+b"), layout.detector("a")):
        train(folder)
        model = find_model(folder.path)
        assert (model.weights, model.config) == (folder.weights, folder.config)
        assert model.experiment is None


def test_weights_have_their_config_beside_them_or_given(layout: Layout, tmp_path: Path) -> None:
    folder = train(layout.detector("a"))
    assert find_model(str(folder.weights)).config == folder.config
    other = tmp_path / "other.py"
    other.write_text("model = {}")
    assert find_model(folder.weights, config=other).config == other
    folder.config.unlink()
    with pytest.raises(UserError, match="there is no config"):
        find_model(folder.weights)
    assert find_model(folder.weights, config=other).config == other


def test_an_onnx_file_needs_no_config(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "student.onnx").write_bytes(b"")
    assert find_model("student.onnx").config is None
    with pytest.raises(UserError, match="needs no config"):
        find_model("student.onnx", config=tmp_path / "config.py")


def test_names_of_runs_and_detectors(layout: Layout) -> None:
    last = train(layout.stage("fm", "a+b"))
    model = find_model("micro/progressive")
    assert model.weights == last.weights
    assert model.experiment == "micro"
    assert "after a+b" in model.remark
    teacher = train(layout.detector("b"))
    assert find_model("micro/b").weights == teacher.weights


def test_results_may_lie_elsewhere(layout: Layout, tmp_path: Path) -> None:
    folder = train(Layout(tmp_path / "elsewhere", "micro").detector("a"))
    assert find_model("micro/a", results=tmp_path / "elsewhere").weights == folder.weights


def test_an_experiment_is_its_best_student_by_validation_ap(layout: Layout) -> None:
    train(layout.detector("student"), 0.2)
    train(layout.detector("a"), 0.9)  # a teacher is no student
    train(layout.stage("fm", "a"), 0.8)  # neither is a stage that no run ends with
    best = train(layout.stage("fm", "a+b"), 0.3)
    model = find_model("micro")
    assert model.weights == best.weights
    assert model.name == "micro/progressive"
    assert model.remark == (
        "micro/progressive is the best of 2 students by validation AP (30.0); "
        "not evaluated yet: by-costs, direct"
    )
    train(layout.detector("student"), 0.4)
    assert find_model("micro").name == "micro/student"


def refused(given: str) -> str:
    with pytest.raises(UserError) as caught:
        find_model(given)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("micro", "has no evaluated student yet"),
        ("micro/progressive", "is not trained yet"),
        ("micro/by-costs", "its order of teachers is not known yet"),
        ("micro/nobody", "it has: by-costs, direct, progressive, student, a, b, c"),
        ("nothing", "there is no experiment 'nothing'"),
        ("nothing/progressive", "there is no experiment 'nothing'"),
        ("some/where/else", "there is no such file or folder"),
        ("lost.pth", "there is no such file or folder"),
        ("lost.onnx", "there is no such file or folder"),
        ("config", "has neither student.pth nor model.pth"),
    ],
)
def test_what_is_no_model_is_said_in_one_line(layout: Layout, given: str, words: str) -> None:
    line = refused(given)
    assert words in line
    assert "\n" not in line


def test_a_name_of_two_things_is_refused(layout: Layout) -> None:
    path = Path("config/experiments/micro.yaml")
    settings: dict[str, Any] = yaml.safe_load(path.read_text())
    settings["runs"]["a"] = {"method": "fm", "order": ["a"]}
    path.write_text(yaml.safe_dump(settings))
    assert "is the name of a run and of a detector" in refused("micro/a")


def test_of_equal_students_the_first_is_taken(layout: Layout) -> None:
    runs: dict[str, Callable[[], ModelFolder]] = {
        "student": lambda: layout.detector("student"),
        "progressive": lambda: layout.stage("fm", "a+b"),
    }
    for folder in runs.values():
        train(folder(), 0.5)
    assert find_model("micro").name == "micro/student"
