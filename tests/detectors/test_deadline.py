"""A training ends itself before its batch system does, whatever becomes of the signals."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from micro import MICRO, PROJECT, changed

from mtpd.detectors import deadline
from mtpd.detectors.deadline import end_of_job, is_near

LONGEST = 240


@pytest.fixture(autouse=True)
def outside_of_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (deadline.END, deadline.JOB):
        monkeypatch.delenv(name, raising=False)


def test_the_environment_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert end_of_job() is None
    monkeypatch.setenv(deadline.END, "1750000000")
    assert end_of_job() == 1750000000


def scontrol(folder: Path, output: str, status: int = 0) -> None:
    program = folder / "scontrol"
    program.write_text(
        f"#!/bin/sh\necho \"$@\" > '{folder}/asked'\nprintf '{output}'\nexit {status}\n"
    )
    program.chmod(0o755)


def test_scontrol_is_asked_where_the_environment_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(deadline.JOB, "17")
    assert end_of_job() is None  # there is no scontrol
    scontrol(
        tmp_path,
        "JobId=17\\n StartTime=2026-01-02T03:00:00 EndTime=2026-01-02T03:04:05 Deadline=N/A\\n",
    )
    assert end_of_job() == datetime(2026, 1, 2, 3, 4, 5).timestamp()
    assert (tmp_path / "asked").read_text().split() == ["show", "job", "17"]
    scontrol(tmp_path, "JobId=17 EndTime=Unknown\\n")
    assert end_of_job() is None
    scontrol(tmp_path, "slurm_load_jobs error: Invalid job id\\n", status=1)
    assert end_of_job() is None


def test_an_end_is_near_while_one_more_iteration_and_save_still_fit() -> None:
    now = time.time()
    assert not is_near(None, 10, 10)
    assert not is_near(now + deadline.LEAVING + 50, save=10, iteration=10)
    assert is_near(now + deadline.LEAVING + 30, save=10, iteration=10)
    assert is_near(now - 100, save=0, iteration=0)


@pytest.mark.slow
def test_a_training_ends_itself_and_goes_on(tmp_path: Path) -> None:
    settings = changed(
        MICRO,
        ("data.train", 40),
        ("training", {**MICRO["training"], "epochs": 4}),
        ("teachers", {"a": MICRO["teachers"]["a"]}),
        ("runs", {}),
        ("ordering", {}),
        ("saving", {"minutes": None}),
    )
    (tmp_path / "micro.yaml").write_text(yaml.safe_dump(settings))
    # The end is nearer than leaving takes: it stops after its first iteration.
    end = str(int(time.time() + 5))
    prepared = run(tmp_path, end, "data", "prepare")
    assert prepared.returncode == 0, prepared.stderr
    done = run(tmp_path, end, "train", "--detector", "student")
    assert done.returncode == os.EX_TEMPFAIL, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    words = "interrupted: the job's time is nearly up: the state after iteration 1 is saved"
    assert last.startswith(words)
    done = run(tmp_path, str(int(time.time() + 3600)), "train", "--detector", "student")
    assert done.returncode == 0, done.stderr
    assert re.search("resumed after iteration 1, in epoch 1", done.stdout + done.stderr)


def run(folder: Path, end: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    group, options = (arguments, ()) if arguments[0] == "data" else (arguments[:1], arguments[1:])
    return subprocess.run(
        [sys.executable, "-m", "mtpd.cli", *group, str(folder / "micro.yaml"), *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
        env={**os.environ, "PYTHONPATH": str(PROJECT), deadline.END: end},
    )
