"""Plain lines: what a file shows, and the log of a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterable

from mtpd.display.display import Display
from mtpd.display.job import Job
from mtpd.display.texts import epoch_line, finish_line
from mtpd.overview.progress import EpochDone


class Lines(Display):
    """Plain lines, each with the time of day: for files, and for a cluster's logs."""

    def say(self, lines: Iterable[str], style: str = "") -> None:  # noqa: ARG002  it is plain
        """Print lines, the first of each text with the time."""
        for line in lines:
            self.console.print(f"{time.strftime('%H:%M:%S')} {line}", markup=False, soft_wrap=True)

    def started(self, job: Job) -> None:
        """Say that a job was started, if it does anything."""
        if not self.quiet and job.log is not None:
            self.say([f"started: {job}"])

    def submitted(self, job: Job, number: str) -> None:
        """Say under which number Slurm knows the job."""
        if not self.quiet:
            self.say([f"submitted: {job}, as Slurm job {number}"])

    def finished(self, job: Job) -> None:
        """Say that a job has ended, and how many have."""
        if self.quiet:
            return
        self.say([finish_line(job, self.run)])

    def epoch(self, job: Job, done: EpochDone, epochs: int | None, left: float | None) -> None:
        """Say what an epoch has brought."""
        if not self.quiet:
            self.say([epoch_line(str(job), done, epochs, left)])

    def refresh(self) -> None:
        """Lines do not change."""
