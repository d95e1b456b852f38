"""Measured speeds, against what a real training of the same detectors says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from micro import PROJECT

from mtpd.experiment.estimate import estimate, workloads
from mtpd.experiment.load import load_experiment
from mtpd.experiment.speed import Calibration, Speed, Workload
from mtpd.files import read_json
from mtpd.layout import Layout, calibration_file
from mtpd.selection.chains import Chain
from mtpd.steps.calibrate import calibrate
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.stage import train_stage
from mtpd.steps.train import train_detector

LARGE_ENOUGH = [
    ("data.train", 32),
    ("data.size", 128),
    ("pipeline.size", [128, 128]),
    ("training.epochs", 2),
    ("runs", {"one": {"method": "fm", "order": ["b"]}}),
]


def test_the_estimate_is_near_a_real_training(write_experiment: Any, tmp_path: Path) -> None:
    path, results = write_experiment(*LARGE_ENOUGH), tmp_path / "results"
    experiment, layout = load_experiment(path), Layout(results, path.stem)
    prepare_data(experiment, layout)
    calibrate(workloads([(experiment, layout)]), calibration_file(results), steps=5)
    speed = Speed(Calibration.load(calibration_file(results)))
    assert estimate(experiment, layout, speed).jobs
    assert {answer.source for answer in speed.answers.values()} == {"measured"}

    torch.set_num_threads(1)
    context = Context.open(path, results)
    for name in ("student", "b"):
        train_detector(context, name)
    train_stage(context, "fm", Chain.parse("b"))
    steps = {
        kind: answer.seconds
        for (kind, load), answer in speed.answers.items()
        if load.options == "{}" and load.batch_size == 4
    }
    teacher = next(
        a.seconds
        for (kind, load), a in speed.answers.items()
        if kind == "forward" and load.options != "{}"
    )
    expected = {
        layout.detector("student").history: steps["train_step"],
        layout.stage("fm", "b").history: steps["train_step"] + teacher,
    }
    for history, step in expected.items():
        last = read_json(history)["epochs"][-1]
        # Two cores are shared with whatever else runs there, and training reads images.
        assert 0.2 < step * last["iterations"] / last["train_seconds"] < 5


@pytest.mark.parametrize(
    "config", ["mask_rcnn_r18_w16", "cascade_mask_rcnn_r34_w32", "gfl_r18_w16"]
)
def test_detectors_with_masks_and_other_heads(config: str, tmp_path: Path) -> None:
    file = str(PROJECT / "config" / "detectors" / f"{config}.py")
    workload = Workload(file, "{}", (64, 64), 2, False, "cpu", 1)
    needed = {workload: ["train_step", "forward"], workload.detection: ["evaluation"]}
    path = tmp_path / "calibration.yaml"
    calibrate(needed, path, steps=1)
    found = {item.workload: set(item.seconds) for item in Calibration.load(path).measurements}
    assert found == {load: set(kinds) for load, kinds in needed.items()}


def test_a_pair_is_measured_and_used(write_experiment: Any, tmp_path: Path) -> None:
    path = write_experiment(("runs", {"one": {"method": "fm", "order": ["b"]}}))
    experiment, layout = load_experiment(path), Layout(tmp_path, path.stem)
    needed = workloads([(experiment, layout)], distillation=True)
    pairs = {load: kinds for load, kinds in needed.items() if "distillation_step" in kinds}
    assert len(pairs) == 1
    calibrate(pairs, calibration_file(tmp_path), steps=1)
    known = Speed(Calibration.load(calibration_file(tmp_path)))
    estimate(experiment, layout, known)
    sources = {kind: answer.source for (kind, _), answer in known.answers.items()}
    assert sources["distillation_step"] == "measured"
    assert sources["train_step"] == "assumed"
