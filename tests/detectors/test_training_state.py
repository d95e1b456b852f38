"""Training states on disk: whole or not at all, found by their hash, of the same training."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtpd.detectors.training_state import TrainingStates, random_state, set_random_state


@pytest.fixture
def states(tmp_path: Path) -> TrainingStates:
    return TrainingStates(tmp_path / "states", "identity")


def saved(states: TrainingStates, *iterations: int) -> None:
    for iteration in iterations:
        assert states.save(iteration, {"iteration": iteration, "tensor": torch.arange(1000)})


def newest(states: TrainingStates) -> int | None:
    state = states.newest()
    return None if state is None else state["iteration"]


def names(states: TrainingStates) -> list[str]:
    return sorted(path.name for path in states.folder.iterdir())


def test_the_newest_two_are_kept(states: TrainingStates) -> None:
    saved(states, 5, 10, 15)
    assert newest(states) == 15
    assert names(states) == [
        "000000010.json",
        "000000010.pth",
        "000000015.json",
        "000000015.pth",
    ]


def test_nothing_saved(states: TrainingStates) -> None:
    assert newest(states) is None


def test_newest_is_told_by_the_iteration_whatever_the_clock_says(states: TrainingStates) -> None:
    saved(states, 5, 10)
    for path in states.folder.glob("*10*"):
        os.utime(path, (0, 0))
    assert newest(states) == 10


DAMAGE = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "flipped": lambda path: _flip_a_bit(path),
    "without hash": lambda path: path.with_suffix(".json").unlink(),
    "with half a hash": lambda path: os.truncate(path.with_suffix(".json"), 20),
}


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_falls_back_to_the_state_before(
    states: TrainingStates, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    saved(states, 5, 10)
    DAMAGE[damage](states.folder / "000000010.pth")
    assert newest(states) == 5
    assert "000000010.pth is not used" in caplog.text
    saved(states, 10)
    assert newest(states) == 10


def test_both_damaged_is_no_state(states: TrainingStates) -> None:
    saved(states, 5, 10)
    for path in states.folder.glob("*.pth"):
        _flip_a_bit(path)
    assert newest(states) is None


def test_states_of_another_training_are_not_used(states: TrainingStates) -> None:
    saved(states, 5)
    assert newest(TrainingStates(states.folder, "other settings")) is None


def test_a_kill_while_saving_leaves_the_state_before(states: TrainingStates) -> None:
    """What is on disk after each step of a save."""
    saved(states, 5)
    (states.folder / ".000000010.abc.pth").write_bytes(b"half")
    assert newest(states) == 5
    shutil.copy(states.folder / "000000005.pth", states.folder / "000000010.pth")
    assert newest(states) == 5  # renamed, but its hash is not there yet


def test_cleared(states: TrainingStates) -> None:
    saved(states, 5, 10)
    states.clear()
    assert names(states) == []


class Malicious:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


def test_a_state_that_would_run_code_does_not(
    states: TrainingStates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(states, 5)
    states.save(10, {"iteration": Malicious()})
    assert newest(states) == 5
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_costs_no_state_and_no_training(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    states = TrainingStates(small_disk / "states", "identity")
    saved(states, 5)
    large = {"iteration": 10, "tensor": torch.zeros(2**20)}
    assert not states.save(10, large)
    assert "could not be saved" in caplog.text
    assert newest(states) == 5
    assert names(states) == ["000000005.json", "000000005.pth"]
    saved(states, 15)
    assert newest(states) == 15


def test_random_numbers_go_on_where_they_were(tmp_path: Path) -> None:
    def draw() -> tuple[Any, ...]:
        own = random.random(), random.gauss(0, 1)
        numpy = np.random.rand(3).tolist(), np.random.randn()  # noqa: NPY002
        return *own, *numpy, torch.rand(3).tolist(), torch.randn(5).tolist()

    draw()
    torch.save(random_state(), tmp_path / "state.pth")
    expected = draw(), draw()
    set_random_state(torch.load(tmp_path / "state.pth", weights_only=True))
    assert (draw(), draw()) == expected
