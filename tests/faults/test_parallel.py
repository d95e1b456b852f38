"""One training in two processes, as a scheduler that gives two devices runs it; here on the CPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from micro import MICRO, PROJECT, changed

from mtpd.files import read_json

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("parallel"),
    pytest.mark.skipif(torch.cuda.device_count() == 1, reason="needs two GPUs, or none"),
]
SETTINGS = changed(
    MICRO,
    ("data.train", 24),
    ("training.epochs", 2),
    ("training.lr_for_batch", 4),
    ("training.decay_at", ...),
    ("resources", {"train": {"gpus": 2}}),
    ("saving", {"iterations": 1}),
)
GIVEN = {"SLURM_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "0,1"}
LONGEST = 300


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command, *options = arguments
    with (folder / "jobs.log").open("ab") as log:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "mtpd.cli", *command.split()),
                *(str(folder / "micro.yaml"), *options),
            ],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**os.environ, **GIVEN, "PYTHONPATH": str(PROJECT)},
        )


def prepared(folder: Path) -> Path:
    folder.mkdir()
    (folder / "micro.yaml").write_text(yaml.safe_dump(SETTINGS))
    assert start(folder, "data prepare").wait(LONGEST) == 0
    return folder


def train(folder: Path) -> subprocess.Popen[bytes]:
    return start(folder, "train", "--detector", "student")


def student(folder: Path) -> Path:
    return folder / "results" / "micro" / "detectors" / "student"


def states(folder: Path) -> list[Path]:
    return list((folder / ".mtpd-store" / "states").glob("*/[0-9]*.pth"))


def state(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(student(folder) / "model.pth", weights_only=True)
    return loaded["state_dict"]


def test_two_processes_share_a_step_and_resume_together(tmp_path: Path) -> None:
    whole, cut = prepared(tmp_path / "whole"), prepared(tmp_path / "cut")
    assert train(whole).wait(LONGEST) == 0, (whole / "jobs.log").read_text()
    history = read_json(student(whole) / "history.json")
    assert history["images_per_step"] == 8
    assert [epoch["iterations"] for epoch in history["epochs"]] == [3, 3]
    # Made for 4 images, and followed to 8.
    assert history["epochs"][0]["last_learning_rate"] == pytest.approx(0.002)

    job = train(cut)
    while not states(cut):
        assert job.poll() is None, (cut / "jobs.log").read_text()
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)
    assert job.wait(LONGEST) == os.EX_TEMPFAIL
    assert train(cut).wait(LONGEST) == 0
    assert "resumed after iteration" in (cut / "jobs.log").read_text()
    first, second = state(whole), state(cut)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_processes_end_with_the_one_that_holds_the_devices(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "killed")
    job = train(folder)
    while not states(folder):
        assert job.poll() is None, (folder / "jobs.log").read_text()
        time.sleep(0.05)
    children = [int(pid) for pid in _children(job.pid)]
    assert children
    job.kill()
    job.wait()
    deadline = time.monotonic() + LONGEST
    while any(Path(f"/proc/{pid}/cmdline").exists() and _is_alive(pid) for pid in children):
        assert time.monotonic() < deadline, "torchrun goes on without its launcher"
        time.sleep(0.1)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _is_alive(pid: int) -> bool:
    """Not a zombie either, which nobody may be there to bury."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
