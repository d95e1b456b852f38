"""What all displays have in common: they take Snakemake's records and watch its trainings."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent

from mtpd.display.job import Job
from mtpd.display.run import PLAN, Failed, Run
from mtpd.display.texts import (
    LOG,
    SUBMITTED,
    closing_lines,
    failure_lines,
    left_of,
    rules_line,
    text_of,
)
from mtpd.overview.progress import EpochDone
from mtpd.reporting.words import count

POLL_SECONDS = 1.0
BUSY_SHARE = 0.05
"""Of one core, at most, for looking at files."""


class Display(logging.Handler, ABC):
    """Shows what happens. Records come from one thread, and another one watches files.

    Args:
        console: Where it is shown.
        quiet: Whether nothing is shown but failures and errors.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        super().__init__()
        self.console, self.quiet = console, quiet
        self.run = Run()
        self.executing = False
        self._warnings, self._log = 0, ""
        self._said: set[str] = set()
        self._ended: list[Job] = []
        self._end = threading.Event()
        self._watcher: threading.Thread | None = None
        self._acts: dict[LogEvent, Callable[[logging.LogRecord], None]] = {
            LogEvent.WORKFLOW_STARTED: self._begin,
            LogEvent.RESOURCES_INFO: lambda record: self.run.provide(record),
            LogEvent.RUN_INFO: self._count,
            LogEvent.JOB_STARTED: self._plan,
            LogEvent.JOB_INFO: self._start,
            LogEvent.JOB_FINISHED: self._finish,
            LogEvent.PROGRESS: self._progress,
            LogEvent.JOB_ERROR: self._fail,
            LogEvent.GROUP_ERROR: self._say,
            LogEvent.ERROR: self._say,
        }

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a record says. The handler's lock is held."""
        event = getattr(record, "event", None)
        if event is None:
            self._say(record)
        elif event in self._acts:
            self._acts[event](record)

    def close(self) -> None:
        """Show how it has ended, once, and leave the terminal as it was."""
        self._end.set()
        if self._watcher is not None:
            self._watcher.join(timeout=5)
        with self.lock or threading.RLock():
            if self.executing:
                self.executing = False
                self.conclude()
        super().close()

    # What the kinds of display do in their ways.

    @abstractmethod
    def say(self, lines: Iterable[str], style: str = "") -> None:
        """Show lines that stay."""

    @abstractmethod
    def started(self, job: Job) -> None:
        """A job was started."""

    @abstractmethod
    def submitted(self, job: Job, number: str) -> None:
        """A job waits in Slurm's queue, under this number."""

    @abstractmethod
    def finished(self, job: Job) -> None:
        """A job has ended well, and was counted."""

    @abstractmethod
    def epoch(self, job: Job, done: EpochDone, epochs: int | None, left: float | None) -> None:
        """An epoch of a training is over."""

    @abstractmethod
    def refresh(self) -> None:
        """Time has gone by."""

    def conclude(self) -> None:
        """The run has ended."""
        if not self.quiet:
            took = time.monotonic() - self.run.began
            self.say(closing_lines(self.run, took, self._warnings, self._log))

    # Records.

    def _begin(self, _record: logging.LogRecord) -> None:
        self.executing = True

    def _count(self, record: logging.LogRecord) -> None:
        stats = record.__dict__["stats"]
        self.run.total = int(stats["total"])
        if not self.quiet:
            self.say([f"{count(self.run.total, 'job')} to run: {rules_line(stats)}"])
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="mtpd display", daemon=True)
            self._watcher.start()

    def _plan(self, record: logging.LogRecord) -> None:
        estimates = getattr(record, PLAN, None)
        if estimates is not None:
            self.run.plan(estimates)

    def _start(self, record: logging.LogRecord) -> None:
        self.started(self.run.start(record))

    def _finish(self, record: logging.LogRecord) -> None:
        job = self.run.end(record.__dict__["job_id"])
        if job is not None:
            for done in self.run.last_epochs(job):
                self.epoch(job, done, None, None)
            self._ended.append(job)

    def _progress(self, record: logging.LogRecord) -> None:
        """Snakemake counts a job right after it has said that it is finished."""
        self.run.done, self.run.total = record.__dict__["done"], record.__dict__["total"]
        for job in self._ended:
            self.finished(job)
        self._ended.clear()

    def _fail(self, record: logging.LogRecord) -> None:
        job = self.run.running.get(record.__dict__["jobid"])
        if job is not None:
            self._tell_epochs()
        failed = self.run.fail(record)
        if failed is not None:
            self.failed(failed)

    def failed(self, failed: Failed) -> None:
        """A job has failed."""
        self.say(failure_lines(failed), "red")

    def _say(self, record: logging.LogRecord) -> None:
        if told := SUBMITTED.match(str(record.msg)):
            job = self.run.running.get(int(told[1]))
            if job is not None:
                self.submitted(job, told[2])
            return
        if str(record.msg).startswith(LOG):
            self._log = str(record.msg).removeprefix(LOG)
        text = text_of(record, executing=self.executing)
        is_error = record.levelno >= logging.ERROR
        self._warnings += record.levelno == logging.WARNING and self.executing
        # While jobs run, Snakemake says some things at every signal once more.
        is_new = text is not None and not (self.executing and text in self._said)
        if text is not None and is_new and (is_error or not self.quiet):
            self._said.add(text)
            self.say([text], "red" if is_error else "")

    # Files.

    def _watch(self) -> None:
        pause = POLL_SECONDS
        while not self._end.wait(pause):
            began = time.thread_time()
            try:
                with self.lock or threading.RLock():
                    self._tell_epochs()
                    self.refresh()
            except Exception:
                # The run goes on, whatever is wrong with showing it.
                logging.getLogger(__name__).debug("the display", exc_info=True)
            pause = max(POLL_SECONDS, (time.thread_time() - began) / BUSY_SHARE)

    def _tell_epochs(self) -> None:
        for job, progress in self.run.trainings():
            new = list(self.run.new_epochs(job, progress))
            for done in new:
                left = left_of(progress) if done is new[-1] else None
                self.epoch(job, done, progress.epochs, left)
