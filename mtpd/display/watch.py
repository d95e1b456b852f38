"""The same picture for a run elsewhere, told from files alone: ``mtpd status --watch``."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mtpd.display.pane import bar, pane
from mtpd.estimation.estimate import Estimate, PricedJob
from mtpd.estimation.remaining import TRAININGS, Capacity, Pace, seconds_left
from mtpd.overview.status import ExperimentStatus, ModelStatus
from mtpd.reporting.words import duration

BUSY_SHARE = 0.05
"""Of one core, at most, for looking at files."""


def watch(
    collect: Callable[[], ExperimentStatus],
    plan: Callable[[], Sequence[Estimate]],
    console: Console,
    every: float = 2.0,
) -> None:
    """Show the picture, renewed every few seconds, until somebody types q or Ctrl-C.

    Args:
        collect: Gives how far the experiment is.
        plan: Gives what is left and what it takes; may take a while.
        console: A terminal.
        every: Seconds between two pictures.
    """
    left = TimeLeft(plan)
    with _keys() as pressed, Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            began = time.thread_time()
            status = collect()
            below: list[RenderableType] = [
                _foot(status, left.of(status)),
                Text("q ends this, not the run", "dim"),
            ]
            width, height = console.size
            live.update(pane([status], below, width, height), refresh=True)
            pause = max(every, (time.thread_time() - began) / BUSY_SHARE)
            if pressed(pause) in ("q", "Q", "\x03"):
                return


class TimeLeft:
    """How much time is left, from a plan that is made beside, and again when orders were decided.

    Args:
        plan: Gives what is left and what it takes.
    """

    def __init__(self, plan: Callable[[], Sequence[Estimate]]) -> None:
        self._plan = plan
        self._jobs: list[PricedJob] = []
        self._undecided: frozenset[str] | None = None
        self._is_bound = False

    def of(self, status: ExperimentStatus) -> str:
        """In words; nothing while it is not known."""
        undecided = frozenset(run.name for run in status.runs if run.stages is None)
        if undecided != self._undecided:
            self._undecided = undecided
            threading.Thread(target=self._renew, daemon=True).start()
        if not self._jobs:
            return ""
        lengths, running = self._lengths({model.folder: model for model in status.models()})
        capacity = Capacity(jobs=max(1, len(running)))
        seconds = seconds_left(list(lengths), lengths.__getitem__, capacity, running)
        if not seconds:
            return ""
        return f"{'at most' if self._is_bound else 'about'} {duration(seconds)} left"

    def _lengths(
        self, models: Mapping[Path, ModelStatus]
    ) -> tuple[dict[PricedJob, float], list[PricedJob]]:
        """Seconds that each job that is left still takes, and which of them run."""
        pace, lengths, running = Pace(), dict[PricedJob, float](), []
        for job in self._jobs:
            if job.product is not None and job.product.exists():
                continue
            lengths[job] = job.seconds_left
            model = models.get(job.product.parent) if job.product is not None else None
            measured = _measured(job, model)
            if measured is not None:
                lengths[job], priced = measured
                running.append(job)
                pace.note(job.rule, priced, measured[0])
        for job in lengths.keys() - set(running):
            lengths[job] *= pace.of(job.rule)
        return lengths, running

    def _renew(self) -> None:
        estimates = self._plan()
        self._is_bound = any(one.undecided for one in estimates)
        self._jobs = [job for one in estimates for job in one.left]


def _measured(job: PricedJob, model: ModelStatus | None) -> tuple[float, float] | None:
    """Seconds that a running training says it still takes, and the price of the same part of it."""
    if job.rule not in TRAININGS or model is None or model.state != "running":
        return None
    progress = model.progress
    if progress is None or progress.seconds_left is None:
        return None
    done = progress.iteration / max(1, progress.iterations)
    return progress.seconds_left, job.seconds * (1 - done)


def _foot(status: ExperimentStatus, left: str) -> Table:
    models = status.models()
    done = sum(model.state == "done" for model in models)
    words = [f"{done} of {len(models)} trained", left, time.strftime("%H:%M:%S")]
    return bar(done, len(models), " · ".join(filter(None, words)))


def _no_key(seconds: float) -> str:
    time.sleep(seconds)
    return ""


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """A function that waits so many seconds for a key, and gives it; nothing where none came."""
    if not sys.stdin.isatty():
        yield _no_key
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([number], [], [], seconds)
        return os.read(number, 1).decode(errors="replace") if ready else ""

    try:
        tty.setcbreak(number)
        yield pressed
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
