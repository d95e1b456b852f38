"""How far an experiment is, told from its files alone, so from any machine that sees them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mtpd.chains import Chain
from mtpd.errors import UserError
from mtpd.experiment.orders import known_chains
from mtpd.experiment.runs import all_members, run_of
from mtpd.layout import Layout, ModelFolder
from mtpd.overview.progress import EpochDone, Progress, epochs_trained, read_progress
from mtpd.settings.experiment import Detector, Experiment
from mtpd.zoo.sources import remote_weights

FRESH_SECONDS = 180
"""A job that has written nothing for longer does not run any more."""

TAIL_BYTES = 64 * 1024
LAST_LINES = 30  # not counting indented ones, such as the frames of a traceback
_TRACEBACK = "Traceback (most recent call last):"
_TRAINING = " - mmengine - "
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


Product = tuple[Path, Path]
"""What a job makes, and its log."""

State = Literal["done", "running", "started", "interrupted", "failed", "waiting"]
"""``started`` is known only where the jobs are started: the job has written nothing yet."""


@dataclass(frozen=True)
class Failure:
    """A job that has failed: the last line of its error, and the log that it is from."""

    line: str
    log: Path


@dataclass(frozen=True)
class ModelStatus:
    """How far a detector or the student of a stage is.

    Attributes:
        name: The detector; of a stage its own part of the chain's text.
        folder: Its files; a stage that two runs share has the same in both.
        state: Of its training.
        progress: Of a training that runs or was interrupted.
        failures: Of its training, and of the jobs before and after that.
        epochs: That are over.
    """

    name: str
    folder: Path
    state: State
    progress: Progress | None = None
    failures: tuple[Failure, ...] = ()
    epochs: tuple[EpochDone, ...] = ()

    @property
    def ap(self) -> float | None:
        """AP of the last validation, a fraction; None: there was none yet."""
        return next((done.ap for done in reversed(self.epochs) if done.ap is not None), None)


@dataclass(frozen=True)
class RunStatus:
    """The stages of a run, first to last; None: their order is not decided yet."""

    name: str
    method: str
    stages: tuple[ModelStatus, ...] | None


@dataclass(frozen=True)
class ExperimentStatus:
    """All of an experiment.

    Attributes:
        folder: Its results.
        detectors: The student and the teachers.
        runs: The chains.
        failures: Of jobs that belong to no single detector or stage.
    """

    folder: Path
    detectors: tuple[ModelStatus, ...]
    runs: tuple[RunStatus, ...]
    failures: tuple[Failure, ...] = ()

    def models(self) -> list[ModelStatus]:
        """Every detector and stage, each once."""
        stages = [stage for run in self.runs for stage in run.stages or ()]
        return list({model.folder: model for model in (*self.detectors, *stages)}.values())


def collect_status(
    experiment: Experiment, layout: Layout, now: float | None = None
) -> ExperimentStatus:
    """State of every detector and of every stage of every run.

    Args:
        experiment: The experiment.
        layout: Where its results lie.
        now: Seconds since 1970; None: this machine's clock.

    Raises:
        UserError: A file cannot be read, or ``order.json`` is not what the order step writes.
    """
    moment = time.time() if now is None else now
    try:
        return _collect(experiment, layout, moment)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise UserError(
            error.filename, problem, "ask its owner for permission to read it"
        ) from error


def _collect(experiment: Experiment, layout: Layout, now: float) -> ExperimentStatus:
    chains = known_chains(experiment, layout)
    detectors = []
    for name in experiment.detectors:
        folder = layout.detector(name)
        before = [
            *_fetched(experiment.detector(name), layout),
            (folder.pretrained, folder.log("pretrained")),
            (folder.check, folder.log("check")),
        ]
        after = [
            (folder.metrics, folder.log("evaluate")),
            (folder.features, folder.log("features")),
        ]
        detectors.append(_model(name, folder, before, after, now))
    runs = []
    for name in all_members(experiment):
        method = run_of(experiment, name).method
        stages = None
        if name in chains:
            prefixes = chains[name].prefixes()
            stages = tuple(_stage(layout, method, prefix, now) for prefix in prefixes)
        runs.append(RunStatus(name, method, stages))
    own = [
        (layout.dataset, layout.log("data")),
        (layout.costs, layout.log("costs")),
        (layout.order, layout.log("order")),
        (layout.table("csv"), layout.log("results")),
        (layout.figure("costs", "pdf"), layout.log("cost_matrix")),
        (layout.report, layout.log("report")),
    ]
    return ExperimentStatus(layout.root, tuple(detectors), tuple(runs), _failures(own))


def _fetched(detector: Detector, layout: Layout) -> list[Product]:
    """The job that fetches the detector's weights, if they have to be fetched."""
    remote = remote_weights(detector)
    if remote is None:
        return []
    note = layout.fetched(remote.file)
    return [(note, note.with_suffix(".log"))]


def _stage(layout: Layout, method: str, chain: Chain, now: float) -> ModelStatus:
    folder = layout.stage(method, str(chain))
    before = []
    if chain.last.teacher is not None:
        pair = layout.pair(method, chain.last.teacher)
        before = [(pair, pair.with_suffix(".log"))]
    after = [(folder.metrics, folder.log("evaluate"))]
    return _model(str(chain.last), folder, before, after, now)


def _model(
    name: str, folder: ModelFolder, before: list[Product], after: list[Product], now: float
) -> ModelStatus:
    """State of a training; the jobs ``before`` it can keep it from running."""
    log = folder.log("train")
    failures = (*_failures(before), *_failures([(folder.weights, log)]))
    if folder.weights.exists():
        epochs = epochs_trained(folder)
        return ModelStatus(name, folder.path, "done", None, _failures(after), epochs)
    progress = read_progress(folder.progress)
    if progress is None:
        return ModelStatus(
            name, folder.path, "failed" if failures else "waiting", failures=failures
        )
    written = folder.progress.stat().st_mtime
    # A job that has gone on after an error in its log has not failed.
    if any(failure.log.stat().st_mtime >= written for failure in failures):
        return ModelStatus(name, folder.path, "failed", progress, failures, progress.done)
    logged = [log.stat().st_mtime] if log.exists() else []
    running = (
        progress.state != "saved" and _age(now, progress.updated, written, *logged) <= FRESH_SECONDS
    )
    state: State = "running" if running else "interrupted"
    return ModelStatus(name, folder.path, state, progress, epochs=progress.done)


def _age(now: float, *moments: float) -> float:
    """Seconds since the latest of ``moments``; never negative.

    The moments are from clocks of several machines. What seems to lie in the future is from one
    that is ahead, and is believed only where all are.
    """
    return min((now - moment for moment in moments if moment <= now), default=0.0)


def _failures(products: list[Product]) -> tuple[Failure, ...]:
    """Jobs that have not made their product and whose log ends in an error."""
    found = []
    for product, log in products:
        line = None if product.exists() else last_error(log)
        if line is not None:
            found.append(Failure(line, log))
    return tuple(found)


def last_error(log: Path) -> str | None:
    """The line that says why the job of this log has failed; None if it does not say so.

    It is ``error: …``, or the last line of a traceback; other processes may have had their say
    after it, but training has not gone on.
    """
    return _last_error(_lines_of(log))


def last_line(log: Path) -> str | None:
    """The last line of a log; None if it has none."""
    lines = _lines_of(log)
    return _printable(lines[-1]) if lines else None


def _lines_of(log: Path) -> list[str]:
    """The last lines of a log that are not empty; none if it is not there."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [_COLOUR.sub("", line) for line in text.splitlines() if line.strip()]


def _last_error(lines: list[str]) -> str | None:
    unindented: list[str] = []
    for line in reversed(lines):
        if _TRAINING in line or len(unindented) == LAST_LINES:
            return None
        if line.startswith("error: "):
            return _printable(line)
        if line.startswith(_TRACEBACK):
            return _printable(unindented[-1]) if unindented else None
        if not line[0].isspace():
            unindented.append(line)
    return None


def _printable(line: str) -> str:
    return "".join(character for character in line if character.isprintable())
