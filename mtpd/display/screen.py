"""A terminal: one picture of the chains that renews itself, and above it what stays."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from mtpd.display.display import Display
from mtpd.display.job import Job
from mtpd.display.pane import as_known, bar, pane, with_states
from mtpd.display.run import Failed
from mtpd.display.texts import left_in_all
from mtpd.errors import UserError
from mtpd.estimation.remaining import TRAININGS
from mtpd.experiment.load import experiment_path, open_experiment
from mtpd.experiment.recipes import Task
from mtpd.layout import Layout
from mtpd.overview.status import ExperimentStatus, ModelStatus, collect_status
from mtpd.reporting.words import duration
from mtpd.settings.experiment import Experiment
from mtpd.settings.runtime import workflow_settings

LEFT_SECONDS = 5.0
"""How often the time that is left is reckoned anew."""


class Screen(Display):
    """The picture of the run."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._opened: dict[str, tuple[Experiment, Layout]] = {}
        self._left, self._reckoned = "", 0.0
        self._live = Live(
            console=console, auto_refresh=False, transient=True, vertical_overflow="crop"
        )

    def say(self, lines: Iterable[str], style: str = "") -> None:
        """Print lines above the picture."""
        for line in lines:
            self.console.print(Text(line, style), soft_wrap=True)

    def started(self, job: Job) -> None:
        """The picture shows it."""
        self._open(job.experiment)
        self._draw()

    def submitted(self, job: Job, number: str) -> None:
        """The picture has the number from the job itself, as soon as that runs."""

    def finished(self, job: Job) -> None:  # noqa: ARG002
        """The picture shows it."""
        self._reckoned = 0.0
        self._draw()

    def failed(self, failed: Failed) -> None:
        """Say it above the picture."""
        super().failed(failed)
        self._reckoned = 0.0

    def epoch(self, job: Job, done: object, epochs: int | None, left: float | None) -> None:
        """The picture shows it."""

    def refresh(self) -> None:
        """Renew the picture."""
        self._draw()

    def conclude(self) -> None:
        """Leave the last picture, and say how it has ended."""
        statuses = self._statuses()
        if self._live.is_started:
            self._live.stop()
        if statuses and self.run.total:
            self.console.print(pane(statuses, [], self.console.width, self.console.height))
        super().conclude()

    def close(self) -> None:
        """Leave the terminal as it was."""
        try:
            super().close()
        finally:
            if self._live.is_started:
                self._live.stop()

    def _draw(self) -> None:
        if not self.executing:
            return
        if not self._live.is_started:
            self._live.start()
        self._live.update(self._picture(), refresh=True)

    def _picture(self) -> Group:
        width, height = self.console.size
        below = [line for line in (self._others(), self._bar()) if line is not None]
        # Failures were said when they happened.
        return pane(self._statuses(), below, width, height, failures=False)

    def _others(self) -> Text | None:
        """Jobs that run and are no trainings."""
        others = [job for job in self.run.running.values() if job.task.rule not in TRAININGS]
        shown = ", ".join(f"{job} ({duration(job.took)})" for job in others if job.log is not None)
        return (
            Text(f"running: {shown}", "cyan", no_wrap=True, overflow="ellipsis") if shown else None
        )

    def _bar(self) -> Group:
        now = time.monotonic()
        if now - self._reckoned > LEFT_SECONDS:
            self._left, self._reckoned = left_in_all(self.run), now
        run = self.run
        words = [f"{run.done} of {run.total} jobs", f"{duration(now - run.began)} so far"]
        if run.failures:
            words.append(f"{len(run.failures)} failed")
        return Group(bar(run.done, run.total, " · ".join(filter(None, [*words, self._left]))))

    def _statuses(self) -> list[ExperimentStatus]:
        started = {job.folder.path for job in self.run.running.values() if job.folder is not None}
        planned = self.run.planned()
        found = []
        for name, (experiment, layout) in self._opened.items():
            to_come = {
                path for owner, task in planned if owner == name for path in _folder(layout, task)
            }

            def known(model: ModelStatus, to_come: set[Path] = to_come) -> ModelStatus:
                return as_known(model, started, to_come)

            try:
                found.append(with_states(collect_status(experiment, layout), known))
            except UserError:  # whoever needs the file says what is wrong with it
                continue
        return found

    def _open(self, name: str) -> None:
        """Read the experiment that a job belongs to."""
        if not name or name in self._opened:
            return
        settings = workflow_settings()
        try:
            path = experiment_path(name, settings.folder)
            self._opened[name] = open_experiment(path, settings.results)
        except UserError:  # the Snakefile has read it; it was changed since
            return


def _folder(layout: Layout, task: Task) -> Iterable[Path]:
    """Folder of the model that a task trains, if it trains any."""
    rule, names = task
    if rule == "train":
        yield layout.detector(names[0]).path
    elif rule == "stage":
        yield layout.stage(names[0], names[1]).path
