"""A job of Snakemake, as its records describe it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path

from mtpd.estimation.plan import WILDCARDS
from mtpd.estimation.remaining import TRAININGS
from mtpd.experiment.recipes import Task
from mtpd.layout import ModelFolder


@dataclass(frozen=True)
class Job:
    """A job that was started.

    Attributes:
        number: By which Snakemake knows it.
        task: Its rule and wildcards.
        experiment: That it belongs to; empty: to no single one.
        log: Its log, if it has one.
        folder: Of a training.
        started: By the clock :func:`time.monotonic`.
    """

    number: int
    task: Task
    experiment: str = ""
    log: Path | None = None
    folder: ModelFolder | None = None
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, record: LogRecord) -> Job:
        """The job that a record of the kind JOB_INFO announces."""
        told = record.__dict__
        wildcards = told["wildcards"] or {}
        names = tuple(str(wildcards[key]) for key in WILDCARDS if key in wildcards)
        task = Task(told["rule_name"], names)
        logs, folder = told["log"] or [], None
        if task.rule in TRAININGS and told["output"]:
            weights = Path(told["output"][0])
            folder = ModelFolder(weights.parent, weights)
        experiment = str(wildcards.get("experiment", ""))
        return cls(told["jobid"], task, experiment, Path(logs[0]) if logs else None, folder)

    @property
    def took(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started

    def __str__(self) -> str:
        return f"{self.experiment}: {self.task}" if self.experiment else str(self.task)
