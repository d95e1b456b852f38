"""What a training job writes about itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import nn

from mtpd.detectors.hooks import DetectorWeightsHook, HistoryHook
from mtpd.errors import DivergedError
from mtpd.files import read_json


def fake_runner(rate: float, scaled: bool = False) -> Any:
    kind = AmpOptimWrapper if scaled else OptimWrapper
    wrapper = kind.__new__(kind)
    wrapper.base_param_settings = None
    wrapper.optimizer = SimpleNamespace(param_groups=[{"lr": rate}])
    sampler = SimpleNamespace(batch_size=8)
    return SimpleNamespace(
        epoch=0,
        optim_wrapper=wrapper,
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


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_history_goes_on_wherever_its_epoch_was_left(tmp_path: Path, done: int) -> None:
    """Also after the last step of an epoch, where no further step is made in it."""
    losses = [3.0, 1.0, 2.0]
    whole, left, resumed = (HistoryHook(str(tmp_path / "history.json")) for _ in range(3))
    train_epoch(whole, fake_runner(0.1), losses)
    runner = fake_runner(0.1)
    left.before_train_epoch(runner)
    for index, loss in enumerate(losses[:done]):
        left.before_train_iter(runner, index)
        left.after_train_iter(runner, index, outputs={"loss": torch.tensor(loss)})
    resumed.restore(left.state())
    train_epoch(resumed, fake_runner(0.1), losses[done:])
    for hook in (whole, resumed):
        hook.epochs[0].pop("train_seconds")
    assert resumed.epochs == whole.epochs


DIVERGED = "training has diverged: the loss has not been finite for {} iterations"


def test_divergence_is_one_line_and_writes_no_weights(tmp_path: Path) -> None:
    hook, runner = HistoryHook(str(tmp_path / "history.json")), fake_runner(0.1)
    with pytest.raises(DivergedError, match=DIVERGED.format(1)) as caught:
        train_epoch(hook, runner, [1.0, float("nan")])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "history.json").exists()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_divergence_is_told_within_fifty_iterations(tmp_path: Path, wrong: float) -> None:
    for scaled, most in ((False, 25), (True, 50)):
        hook, runner = HistoryHook(str(tmp_path / "history.json")), fake_runner(0.1, scaled)
        hook.before_train_epoch(runner)
        done = 0
        with pytest.raises(DivergedError, match=r"^epoch 1, iteration \d+: training has diverged"):
            for done in range(1000):
                loss = torch.tensor(1.0 if done < 26 else wrong)
                hook.after_train_iter(runner, done, outputs={"loss": loss})
        assert 26 <= done < 26 + most


def test_steps_that_the_scaler_skips_are_counted_and_left_out(tmp_path: Path) -> None:
    hook, runner = HistoryHook(str(tmp_path / "history.json")), fake_runner(0.1, scaled=True)
    skipped = [float("inf")] * 3
    train_epoch(hook, runner, [1.0, *skipped, 3.0, *skipped, 2.0])
    train_epoch(hook, runner, [1.0])
    first, second = hook.epochs
    assert first["train"]["loss"] == 2.0
    assert (first["iterations"], first["skipped"]) == (9, 6)
    assert "skipped" not in second


def test_nothing_waits_for_the_device_between_two_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, runner = HistoryHook(str(tmp_path / "history.json")), fake_runner(0.1)
    hook.before_train_epoch(runner)
    waits: list[str] = []
    for name in ("__bool__", "__int__", "__float__", "item"):
        original = getattr(torch.Tensor, name)

        def wait(tensor: Any, name: str = name, original: Any = original) -> Any:
            waits.append(name)
            return original(tensor)

        monkeypatch.setattr(torch.Tensor, name, wait)
    for iteration in range(1, 61):
        hook.after_train_iter(runner, iteration, outputs={"loss": torch.tensor(1.0)})
    assert len(waits) == 2


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


def test_means_are_those_of_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process has a loss that is larger by 1, and as much memory."""

    def gathered(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [value, {name: number + 1 for name, number in value.items()}]
        return [value, value]

    monkeypatch.setattr("mtpd.detectors.hooks.gathered", gathered)
    hook, runner = HistoryHook(str(tmp_path / "history.json")), fake_runner(0.1)
    train_epoch(hook, runner, [1.0, 3.0])
    hook.after_train(runner)
    history = read_json(tmp_path / "history.json")
    assert history["epochs"][0]["train"] == {"loss": 2.5}
    assert history["peak_memory_mib"] > 100


def test_the_rate_is_that_before_warm_up_and_decay(tmp_path: Path) -> None:
    hook, runner = HistoryHook(str(tmp_path / "history.json")), fake_runner(0.001)
    runner.optim_wrapper.param_groups[0]["initial_lr"] = 0.02
    train_epoch(hook, runner, [1.0])
    hook.after_train(runner)
    assert read_json(tmp_path / "history.json")["learning_rate"] == 0.02
