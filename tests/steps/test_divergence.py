"""A training that has diverged ends soon, and leaves no state to go on from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpd.errors import DivergedError
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.train import train_detector


def test_a_diverged_training(write_experiment: Callable[..., Path], tmp_path: Path) -> None:
    changes: list[tuple[str, Any]] = [
        ("data.train", 16),
        ("training.batch_size", 2),
        ("training.epochs", 100),
        ("training.optimizer", {"type": "SGD", "lr": 1e30}),
        ("saving", {"iterations": 1}),
    ]
    context = Context.open(write_experiment(*changes), tmp_path / "results")
    prepare_data(context.experiment, context.layout)
    with pytest.raises(DivergedError, match=r"^epoch 1, .*; lower training\.optimizer\.lr"):
        train_detector(context, "student")
    assert not list(tmp_path.rglob("states/*/*"))
    assert not context.layout.detector("student").weights.exists()
