"""``progress.json``: how far a training is, for ``mtpd status`` and the display of runs."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mtpd.detectors.state import history_of
from mtpd.files import write_json

SECONDS = 5.0
"""Between two times that it is written while nothing happens but iterations."""


class ProgressFile:
    """Writes the file; of several processes, the first one does.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began = self._written = time.monotonic()
        self._since = 0

    def begin(self, runner: Runner) -> None:
        """The training begins, or goes on from ``runner.iter``: speed counts from here."""
        self._began, self._since = time.monotonic(), runner.iter
        self.write(runner, runner.iter, "training")

    def write_if_due(self, runner: Runner, done: int, state: str) -> None:
        """Write it if it was not written for a while."""
        if time.monotonic() - self._written > SECONDS:
            self.write(runner, done, state)

    def write(self, runner: Runner, done: int, state: str) -> None:
        """Write it.

        Args:
            runner: Of the training.
            done: Iterations that are done, in all epochs together.
            state: ``training``, ``validating`` or ``saved``, which is where a job has ended.
        """
        if not is_main_process():
            return
        now = self._written = time.monotonic()
        iterations = done - self._since
        write_json(
            self.path,
            {
                "state": state,
                "epoch": min(runner.epoch + 1, runner.max_epochs),
                "epochs": runner.max_epochs,
                "iteration": done,
                "iterations": runner.max_iters,
                "seconds_per_iteration": (now - self._began) / iterations if iterations else None,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "slurm_job": os.environ.get("SLURM_JOB_ID"),
                "updated": time.time(),
                **history_of(runner).shown(runner, is_validating=state == "validating"),
            },
        )
