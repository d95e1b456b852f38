"""Speed and AP of a model with PyTorch, ONNX Runtime and 8-bit integers."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml
from micro import MICRO, changed
from rich.console import Console

from mtpd.errors import UserError
from mtpd.evaluation.speed_of_use import Speed
from mtpd.files import read_json
from mtpd.layout import ModelFolder
from mtpd.overview.models import Model, find_model
from mtpd.reporting.benchmark import print_benchmark
from mtpd.steps.benchmark import Row, Settings, benchmark
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.evaluate import evaluate_detector
from mtpd.steps.models import detections_on, experiment_of
from mtpd.steps.train import train_detector

SPEED = Speed(2.0, (1.5, 2.5), 800.0, 50.0)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """The micro experiment with its data and a detector that was trained for a few steps."""
    folder = tmp_path_factory.mktemp("benchmark")
    settings = changed(
        MICRO,
        ("teachers", {"a": MICRO["teachers"]["a"]}),
        ("runs", {}),
        ("student.options", {"model.test_cfg.score_thr": 0.001}),
    )
    path = folder / "micro.yaml"
    path.write_text(yaml.safe_dump(settings))
    opened = Context.open(path, folder / "results")
    prepare_data(opened.experiment, opened.layout)
    train_detector(opened, "student")
    return opened


def model_of(folder: ModelFolder) -> Model:
    return Model("micro/student", folder.weights, folder.config, "micro")


@pytest.mark.slow
def test_every_runtime_is_measured(context: Context, tmp_path: Path) -> None:
    yaml_file = str(context.layout.results.parent / "micro.yaml")
    settings = Settings(("torch", "onnx", "int8"), "cpu", 2, 0.3, None, "val")
    model = model_of(context.layout.detector("student"))
    rows, data = benchmark(
        [model], yaml_file, context.layout.results, settings, tmp_path, lambda _: lambda _: print
    )
    assert [row.runtime for row in rows] == ["torch", "onnx", "int8"]
    assert rows[0].ap == pytest.approx(rows[1].ap, abs=1e-6)
    assert rows[2].file_mb < rows[1].file_mb / 2
    for row in rows:
        first, third = row.speed.latency_quartiles_ms
        assert 0 < first <= row.speed.latency_ms <= third
        assert row.speed.images_per_second > 0
        assert row.speed.memory_mb is None or 1 < row.speed.memory_mb < 2000
    written = read_json(tmp_path / "benchmark.json")
    assert (written["images"], len(written["rows"])) == (len(data.images), 3)
    # What is kept are models to use.
    for name in ("micro-student.onnx", "micro-student.int8.onnx"):
        assert find_model(tmp_path / name).config is None
        assert (tmp_path / name).with_suffix(".json").is_file()


def test_detections_are_the_evaluations(context: Context) -> None:
    evaluate_detector(context, "student")
    folder = context.layout.detector("student")
    yaml_file = str(context.layout.results.parent / "micro.yaml")
    by_name = model_of(folder)
    by_path = Model(str(folder.path), folder.weights, folder.config)
    _, (known, found) = detections_on(
        (by_name, by_path),
        yaml_file,
        context.layout.results,
        "val",
        "cpu",
        4,
        lambda _: lambda _: lambda: None,
    )
    assert len(known["bbox"]) == len(found["bbox"]) > 0
    for one, other in zip(known["bbox"], found["bbox"], strict=True):
        assert (one["image_id"], one["category_id"]) == (other["image_id"], other["category_id"])
        assert one["bbox"] == pytest.approx(other["bbox"], abs=0.01)
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)


def test_the_experiment_is_that_of_the_first_model_named() -> None:
    path = Model("somewhere", Path("a"), None)
    named = Model("micro/a", Path("b"), None, "micro")
    assert experiment_of([path, named], None) == "micro"
    assert experiment_of([path, named], "other") == "other"
    with pytest.raises(UserError, match="give --experiment NAME"):
        experiment_of([path], None)


@pytest.mark.parametrize(("holds", "words"), [(True, "hold the AP"), (False, "do not hold the AP")])
def test_the_table_says_whether_integers_hold_the_ap(holds: bool, words: str) -> None:
    rows = [
        Row("micro/a", "torch", 0.4, SPEED, 9.0),
        Row("micro/a", "int8", 0.39, SPEED, 3.0, holds),
    ]
    console = Console(file=io.StringIO(), width=140)
    measured = [(r.model, r.runtime, r.ap, r.speed, r.file_mb, r.holds_ap) for r in rows]
    print_benchmark(measured, "4 images of val", 8, 0.005, console)
    text = console.file.getvalue()
    assert f"8-bit integers {words} (at most 0.5 points less allowed)" in text
    assert "2.0 (1.5–2.5)" in text
