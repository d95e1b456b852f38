"""States are saved between steps of the optimiser, where gradients are summed over several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from micro import SMALL

from mtpd.detectors.training_state import TrainingStates
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.train import train_detector


def test_no_state_with_gradients_under_way(
    write_experiment: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps after 3, 6 and, as training ends, 8 iterations; epochs have 4."""
    config = tmp_path / "summed.py"
    optimizer = "dict(type='AdamW', lr=0.001)"
    config.write_text(
        f"_base_ = '{SMALL}'\n"
        f"optim_wrapper = dict(type='OptimWrapper', accumulative_counts=3, optimizer={optimizer})\n"
    )
    saved: list[int] = []
    save = TrainingStates.save

    def noted(self: TrainingStates, iteration: int, state: dict[str, Any]) -> bool:
        saved.append(iteration)
        return save(self, iteration, state)

    monkeypatch.setattr(TrainingStates, "save", noted)
    changes: list[tuple[str, Any]] = [
        ("student.config", str(config)),
        ("data.train", 16),
        ("training.epochs", 2),
        ("saving", {"iterations": 1}),
    ]
    context = Context.open(write_experiment(*changes), tmp_path / "results")
    prepare_data(context.experiment, context.layout)
    train_detector(context, "student")
    assert saved == [3, 6, 8]
