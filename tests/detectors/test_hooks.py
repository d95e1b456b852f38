"""What a training job writes about itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from mtpd.detectors.hooks import DetectorWeightsHook, HistoryHook
from mtpd.errors import UserError
from mtpd.files import read_json


def fake_runner(rate: float) -> Any:
    sampler = SimpleNamespace(batch_size=8)
    return SimpleNamespace(
        epoch=0,
        optim_wrapper=SimpleNamespace(param_groups=[{"lr": rate}]),
        train_dataloader=SimpleNamespace(batch_sampler=sampler),
    )


def train_epoch(hook: HistoryHook, runner: Any, losses: list[float]) -> None:
    hook.before_train_epoch(runner)
    for index, loss in enumerate(losses):
        hook.before_train_iter(runner, index)
        hook.after_train_iter(runner, index, outputs={"loss": torch.tensor(loss)})
    runner.optim_wrapper.param_groups[0]["lr"] /= 10  # the scheduler's step for the next epoch
    hook.after_train_epoch(runner)
    runner.epoch += 1


def test_history_holds_means_rates_and_validation_of_every_epoch(tmp_path: Path) -> None:
    hook, runner = HistoryHook(str(tmp_path / "history.json")), fake_runner(0.1)
    train_epoch(hook, runner, [1.0, 3.0])
    hook.after_val_epoch(runner, {"coco/bbox_mAP": 0.25})
    train_epoch(hook, runner, [0.5])
    hook.after_train(runner)
    history = read_json(tmp_path / "history.json")
    first, second = history["epochs"]
    assert (first["epoch"], first["iterations"], first["train"]["loss"]) == (1, 2, 2.0)
    assert first["last_learning_rate"] == pytest.approx(0.1)
    assert first["val"] == {"bbox_mAP": 0.25}
    assert second["last_learning_rate"] == pytest.approx(0.01)
    assert "val" not in second
    assert history["startup_seconds"] > 0
    assert history["images_per_step"] == 8
    assert history["peak_memory_mib"] > 50


def test_divergence_is_one_line_and_writes_no_weights(tmp_path: Path) -> None:
    hook, runner = HistoryHook(str(tmp_path / "history.json")), fake_runner(0.1)
    with pytest.raises(UserError, match="training has diverged: loss is not finite"):
        train_epoch(hook, runner, [1.0, float("nan")])
    assert not (tmp_path / "history.json").exists()


def test_only_the_student_is_written(tmp_path: Path) -> None:
    distiller = nn.Module()
    distiller.student, distiller.teacher = nn.Linear(2, 1), nn.Linear(3, 1)
    dataset = SimpleNamespace(metainfo={"classes": ("a",)})
    runner: Any = SimpleNamespace(
        model=distiller,
        train_dataloader=SimpleNamespace(dataset=dataset),
        call_hook=lambda *_, **__: None,
    )
    DetectorWeightsHook(str(tmp_path / "student.pth")).after_train(runner)
    saved = torch.load(tmp_path / "student.pth", weights_only=True)
    assert saved["state_dict"].keys() == {"weight", "bias"}
    assert saved["meta"]["dataset_meta"]["classes"] == ("a",)
