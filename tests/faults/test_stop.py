"""Trainings that load images in processes of their own save their state, whoever ends them how."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from micro import MICRO, PROJECT, changed

SETTINGS = changed(
    MICRO,
    ("data.train", 64),
    ("training.epochs", 50),
    ("training.decay_at", ...),
    ("teachers", {"a": MICRO["teachers"]["a"]}),
    ("runs", {}),
    ("ordering", {}),
    ("saving", {"minutes": None}),
)
LONGEST = 120
GIVEN = {"SLURM_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "0,1"}
NAMES = {
    "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT,
    "SIGHUP": signal.SIGHUP, "SIGUSR1": signal.SIGUSR1,
}  # fmt: skip
CASES = [
    (workers, processes, name, to_group)
    for processes in (1, 2)
    for workers in (0, 2)
    for name in NAMES
    for to_group in (False, True)
]
OFTEN = [(2, 1, "SIGTERM", True)]


def ids(case: tuple[int, int, str, bool]) -> str:
    workers, processes, name, to_group = case
    return f"{name}-{'group' if to_group else 'process'}-{processes}x{workers}"


@pytest.mark.parametrize(
    "case",
    [case if case in OFTEN else pytest.param(case, marks=pytest.mark.faults) for case in CASES],
    ids=ids,
)
def test_a_signal_saves_and_leaves_no_process(
    tmp_path: Path, case: tuple[int, int, str, bool]
) -> None:
    workers, processes, name, to_group = case
    if processes == 2 and torch.cuda.device_count() == 1:
        pytest.skip("needs two GPUs, or none")
    settings = changed(
        SETTINGS,
        ("pipeline.workers", workers),
        ("resources", {"train": {"gpus": processes if processes > 1 else 0}}),
    )
    (tmp_path / "micro.yaml").write_text(yaml.safe_dump(settings))
    assert start(tmp_path, "data", "prepare").wait(LONGEST) == 0
    job = start(tmp_path, "train", "--detector", "student")
    try:
        wait_for_an_epoch(tmp_path, job)
        family = [job.pid, *(child.pid for child in psutil.Process(job.pid).children(True))]
        assert len(family) >= processes * (1 + workers)
        began = time.monotonic()
        if to_group:
            os.killpg(job.pid, NAMES[name])
        else:
            job.send_signal(NAMES[name])
        assert job.wait(LONGEST) == os.EX_TEMPFAIL, log(tmp_path)
        assert time.monotonic() - began < 30
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    last = log(tmp_path).strip().splitlines()[-1]
    assert "received: the state after iteration " in last, log(tmp_path)
    iteration = int(last.split("iteration ")[1].split()[0])
    saved = tmp_path.glob(f".mtpd-store/states/*/{iteration:09d}.pth")
    assert len(list(saved)) == 1
    deadline = time.monotonic() + 20
    while any(is_alive(pid) for pid in family):
        assert time.monotonic() < deadline, "a process goes on"
        time.sleep(0.1)


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    group, command = (
        (arguments[:2], []) if arguments[0] == "data" else (arguments[:1], arguments[1:])
    )
    with (folder / "jobs.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "mtpd.cli", *group, str(folder / "micro.yaml"), *command],
            cwd=folder,
            stdout=output,
            stderr=output,
            env={**os.environ, **GIVEN, "PYTHONPATH": str(PROJECT)},
            start_new_session=True,
        )


def wait_for_an_epoch(folder: Path, job: subprocess.Popen[bytes]) -> None:
    """Until its state is saved: by then the loaders of both splits are at work."""
    while len(states(folder)) < 2:
        assert job.poll() is None, log(folder)
        time.sleep(0.05)


def states(folder: Path) -> list[Path]:
    return sorted(folder.glob(".mtpd-store/states/*/[0-9]*.json"))


def log(folder: Path) -> str:
    return (folder / "jobs.log").read_text(errors="replace")


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
