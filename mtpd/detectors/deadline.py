"""When a batch system will end this job, as far as it says so."""

from __future__ import annotations

import os
import re
import subprocess
import time
from datetime import datetime

JOB, END = "SLURM_JOB_ID", "SLURM_JOB_END_TIME"
LEAVING = 30.0
"""Seconds that processes may take to end once the state is saved."""


def end_of_job() -> float | None:
    """Seconds since the epoch when the job's time is up; None: nobody says so.

    Slurm tells it in the environment (23.02 and newer), or when it is asked.
    """
    told = os.environ.get(END, "")
    if told.isdigit():
        return float(told)
    job = os.environ.get(JOB)
    return None if job is None else _asked(job)


def is_near(end: float | None, save: float, iteration: float) -> bool:
    """Whether another iteration, and a save after it, might come too late.

    Args:
        end: As :func:`end_of_job`.
        save: Seconds that the longest save has taken; another may take twice as long.
        iteration: Seconds that the longest iteration has taken; another may take twice as long.
    """
    return end is not None and time.time() + LEAVING + 2 * (save + iteration) > end


def _asked(job: str) -> float | None:
    command = ["scontrol", "show", "job", job]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"EndTime=(\d\S+)", done.stdout)
    if found is None:
        return None  # it says Unknown where there is no limit
    return datetime.fromisoformat(found.group(1)).timestamp()
