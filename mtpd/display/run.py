"""What is known of a run of Snakemake: its jobs, how far trainings are, and how much is left."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from logging import LogRecord
from pathlib import Path

from mtpd.display.job import Job
from mtpd.estimation.estimate import Estimate, PricedJob
from mtpd.estimation.remaining import Capacity, Pace, seconds_left
from mtpd.experiment.recipes import Task
from mtpd.overview.progress import EpochDone, Progress, epochs_trained, read_progress
from mtpd.overview.status import last_error, last_line
from mtpd.store import was_taken

PLAN = "mtpd_plan"
"""Attribute of a record by which the Snakefile hands on what the planned jobs take."""


@dataclass(frozen=True)
class Failed:
    """A job that has failed.

    Attributes:
        job: The job.
        line: Of its log, that says why; None: there is none.
        last: The last line of its log; None: there is none.
        more: What Snakemake knows besides, such as the job's number on the cluster.
    """

    job: Job
    line: str | None = None
    last: str | None = None
    more: tuple[str, ...] = ()

    @property
    def is_interrupted(self) -> bool:
        """Whether it was told to end, and can go on from where it was."""
        return self.line is None and (self.last or "").startswith("interrupted: ")


class Run:
    """The jobs of one run of Snakemake, told from its records and from the files of trainings.

    Attributes:
        running: Jobs that were started and have not ended, by number.
        failures: Jobs that have failed and were not tried again.
        done: How many have ended well.
        total: How many there are; 0: not known yet.
        is_bound: Whether orders are still open, so that time left is what it can be at most.
    """

    def __init__(self) -> None:
        self.running: dict[int, Job] = {}
        self.failures: dict[int, Failed] = {}
        self.done = self.total = 0
        self.is_bound = False
        self.began = time.monotonic()
        self._told: dict[Path, int] = {}
        self._capacity = Capacity()
        self._pace = Pace()
        self._jobs: dict[tuple[str, Task], PricedJob] = {}
        self._ended: set[tuple[str, Task]] = set()

    def start(self, record: LogRecord) -> Job:
        """A job was started, or handed to the cluster."""
        job = Job.of(record)
        self.failures.pop(job.number, None)
        self.running[job.number] = job
        if job.folder is not None:
            # What an earlier run has shown is not shown again when the training goes on.
            before = read_progress(job.folder.progress)
            self._told[job.folder.path] = 0 if before is None else len(before.done)
        return job

    def end(self, number: int) -> Job | None:
        """A job has ended well; None: it is not known."""
        job = self.running.pop(number, None)
        if job is None:
            return None
        key = job.experiment, job.task
        self._ended.add(key)
        if key in self._jobs and not self._jobs[key].is_kept:
            self._pace.note(job.task.rule, self._jobs[key].seconds_left, job.took)
        return job

    def fail(self, record: LogRecord) -> Failed | None:
        """A job has failed; None: it is not known."""
        job = self.running.pop(record.__dict__["jobid"], None)
        if job is None:
            return None
        line = None if job.log is None else last_error(job.log)
        last = None if job.log is None else last_line(job.log)
        told = record.__dict__.get("aux") or {}
        others = [log for log in record.__dict__.get("log") or [] if log != str(job.log)]
        more = tuple(f"{key}: {value}" for key, value in told.items() if value)
        more += tuple(f"log of the scheduler: {log}" for log in others)
        failed = Failed(job, line, last, more)
        self.failures[job.number] = failed
        return failed

    def provide(self, record: LogRecord) -> None:
        """Note what jobs may use together."""
        told = record.__dict__
        cores, nodes = told.get("cores"), told.get("nodes")
        given = told.get("provided_resources") or {}
        self._capacity = Capacity(
            cores=cores or self._capacity.cores,
            gpus=given.get("gpu", self._capacity.gpus),
            jobs=nodes or self._capacity.jobs,
        )

    def plan(self, estimates: Sequence[Estimate]) -> None:
        """Note the jobs that are left, and what they take."""
        self.is_bound = any(one.undecided for one in estimates)
        self._jobs = {
            (one.name, job.task): job for one in estimates for job in one.jobs if job.is_left
        }

    def trainings(self) -> Iterator[tuple[Job, Progress]]:
        """Trainings that run, and what they say of themselves."""
        for job in list(self.running.values()):
            progress = None if job.folder is None else read_progress(job.folder.progress)
            if progress is not None:
                yield job, progress

    def new_epochs(self, job: Job, progress: Progress) -> Iterator[EpochDone]:
        """Epochs of a running training that were not given before."""
        yield from self._new(job, progress.done)

    def last_epochs(self, job: Job) -> Iterator[EpochDone]:
        """Those of a training that has ended; none where the store had its results."""
        if job.folder is not None and not was_taken(job.log):
            yield from self._new(job, epochs_trained(job.folder))

    def _new(self, job: Job, done: tuple[EpochDone, ...]) -> Iterator[EpochDone]:
        assert job.folder is not None, "it is a training"
        # A training that began anew tells its epochs once more.
        told = min(self._told.get(job.folder.path, 0), len(done))
        self._told[job.folder.path] = len(done)
        yield from done[told:]

    def planned(self) -> set[tuple[str, Task]]:
        """Jobs that are left, as far as they have not ended since."""
        return self._jobs.keys() - self._ended

    def seconds_left(self) -> float | None:
        """Until the run is complete, as far as it can be; None: nothing was planned."""
        if not self._jobs:
            return None
        left = self._possible()
        lengths = {job: job.seconds_left * self._pace.of(job.rule) for job in left}
        started = [self._jobs.get((job.experiment, job.task)) for job in self.running.values()]
        running = [job for job in started if job in lengths]
        known = dict(self._measured())
        for job in self.running.values():
            priced = self._jobs.get((job.experiment, job.task))
            if priced in lengths:
                lengths[priced] = known.get(priced, max(0.0, lengths[priced] - job.took))
        found = seconds_left(left, lengths.__getitem__, self._capacity, running)
        return found if math.isfinite(found) else None

    def _possible(self) -> list[PricedJob]:
        """Jobs that are left, without those that have failed and what needs their results."""
        failed = {(one.job.experiment, one.job.task) for one in self.failures.values()}
        lost: dict[PricedJob, bool] = {self._jobs[key]: True for key in failed & self._jobs.keys()}

        def is_lost(job: PricedJob) -> bool:
            if job not in lost:
                lost[job] = any(map(is_lost, job.after))
            return lost[job]

        left = [job for key, job in self._jobs.items() if key not in self._ended]
        return [job for job in left if not is_lost(job)]

    def _measured(self) -> Iterator[tuple[PricedJob, float]]:
        """Seconds that running trainings say they still take."""
        for job, progress in self.trainings():
            priced = self._jobs.get((job.experiment, job.task))
            # Until it is warm, the mean of its steps says little.
            if priced is not None and progress.seconds_left is not None and progress.iteration > 2:
                yield priced, progress.seconds_left
