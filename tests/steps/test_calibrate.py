"""Measured speeds, against what a real training of the same detectors says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from micro import PROJECT

from mtpd.chains import Stage
from mtpd.estimation.estimate import Prices, workloads
from mtpd.estimation.speed import Calibration, Speed, Workload
from mtpd.experiment.load import load_experiment
from mtpd.files import read_json
from mtpd.layout import Layout, calibration_file
from mtpd.steps.calibrate import calibrate
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.train import train_detector


def test_the_estimate_is_near_a_real_training(write_experiment: Any, tmp_path: Path) -> None:
    changes = ("data.train", 32), ("data.size", 96), ("pipeline.size", [96, 96]), ("runs", {})
    path, results = write_experiment(*changes), tmp_path / "results"
    experiment, layout = load_experiment(path), Layout(results, path.stem)
    prepare_data(experiment, layout)
    needed = workloads([(experiment, layout)])
    of_student = {load: kinds for load, kinds in needed.items() if load.options == "{}"}
    assert sorted(kind for kinds in of_student.values() for kind in kinds) == [
        "evaluation",
        "train_step",
    ]
    calibrate(of_student, calibration_file(results), steps=5)
    speed = Speed(Calibration.load(calibration_file(results)))
    prices = Prices(experiment, layout, speed)
    student, *teachers = (prices.training(name) for name in experiment.detectors)
    sources = {load.options: answer.source for (_, load), answer in speed.answers.items()}
    assert sources.pop("{}") == "measured"
    assert set(sources.values()) == {"assumed"}

    torch.set_num_threads(1)
    train_detector(Context.open(path, results), "student")
    step = next(a.seconds for (kind, _), a in speed.answers.items() if kind == "train_step")
    (epoch,) = read_json(layout.detector("student").history)["epochs"]
    assert epoch["iterations"] == 8
    # Two cores are shared with whatever else runs there, and training reads images besides.
    assert 0.2 < 8 * step / epoch["train_seconds"] < 5
    assert student.seconds > 8 * step
    assert all(teacher.seconds > 0 for teacher in teachers)


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
    prices = Prices(experiment, layout, known)
    assert prices.stage("fm", Stage("b")).seconds > 0
    prices.training("student")
    sources = {kind: answer.source for (kind, _), answer in known.answers.items()}
    assert sources["distillation_step"] == "measured"
    assert sources["train_step"] == "assumed"
