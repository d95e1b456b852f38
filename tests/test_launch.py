"""Signals reach the processes that have to know of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# As Snakemake in a step: it sets its own handler after the Snakefile was read, and waits for a job
# that runs behind a shell.
WAITING = """
import signal, subprocess, sys
from mtpd.launch import hand_termination_on
hand_termination_on()
signal.signal(signal.SIGTERM, lambda *_: print("told", flush=True))
job = subprocess.Popen(["bash", "-c", "trap : TERM; " + sys.argv[1] + " ; exit $?"])
print("status", job.wait(), flush=True)
"""
JOB = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print("begun", flush=True)
time.sleep(30)
"""


@pytest.mark.parametrize("in_step", [True, False])
def test_a_step_hands_its_termination_on_to_its_job(tmp_path: Path, in_step: bool) -> None:
    (tmp_path / "job.py").write_text(JOB)
    environment = {name: v for name, v in os.environ.items() if name != "SLURM_STEP_ID"}
    if in_step:
        environment["SLURM_STEP_ID"] = "0"
    waiting = subprocess.Popen(
        [sys.executable, "-c", WAITING, f"{sys.executable} {tmp_path / 'job.py'}"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "begun\n"
        waiting.send_signal(signal.SIGTERM)
        assert waiting.stdout.readline() == "told\n"
        if in_step:
            assert waiting.stdout.readline() == "status 75\n"
            assert waiting.wait(10) == 0
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(2)
    finally:
        if waiting.poll() is None:
            os.killpg(waiting.pid, signal.SIGKILL)
