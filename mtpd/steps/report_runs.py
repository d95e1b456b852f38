"""The models of an experiment and their accuracy, as far as they are trained and evaluated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

from mtpd.chains import Chain
from mtpd.data.sources import Protocol
from mtpd.experiment.comparison import comparison
from mtpd.experiment.orders import known_chains
from mtpd.experiment.runs import members, run_of, seed_of, starts_afresh
from mtpd.layout import ModelFolder
from mtpd.overview.records import History, read_history, read_metrics
from mtpd.reporting.page.content import Finding, Line, Model, Role
from mtpd.reporting.page.findings import Measured, find
from mtpd.reporting.page.tables import StageRow
from mtpd.steps.context import Context

SCORE = "bbox_mAP"
"""What is measured after every epoch, on every data set."""

HEADLINES: dict[Protocol, tuple[str, str]] = {
    "coco": (SCORE, "AP"),
    "crowdhuman": ("crowd_AP", "crowd AP"),
    "streaming": ("sAP", "sAP"),
}
"""Figure that a data set is judged by first, and its name in the table."""


class RunsSoFar:
    """What there is of the runs of an experiment.

    Attributes:
        chains: Of the runs whose order is decided.
        compared: Those of them that stand beside each other.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.experiment, self.layout = context.experiment, context.layout
        self.chains = known_chains(self.experiment, self.layout)
        self.compared = comparison(self.experiment, self.chains)

    @cached_property
    def members(self) -> dict[Role, str]:
        """Chains of the comparison that the experiment has, by role."""
        found: dict[Role, str | None] = {
            "alone": self.compared.alone,
            "direct": self.compared.direct,
            "progressive": self.compared.progressive,
        }
        return {role: member for role, member in found.items() if member is not None}

    @cached_property
    def models(self) -> dict[Model, ModelFolder]:
        """The models of the comparison that are evaluated."""
        student, teacher = self.experiment.student.name, self.compared.teacher
        found = {Model("baseline", student): self.layout.detector(student)}
        found |= {Model(role, name): self.end(name) for role, name in self.members.items()}
        if teacher is not None:
            found[Model("teacher", teacher)] = self.layout.detector(teacher)
        return {model: folder for model, folder in found.items() if folder.metrics.is_file()}

    def end(self, member: str) -> ModelFolder:
        """Folder of the student at the end of a chain."""
        method = run_of(self.experiment, member).method
        return self.layout.stage(method, str(self.chains[member]))

    def stages_of(self, member: str) -> list[tuple[Chain, ModelFolder]]:
        method = run_of(self.experiment, member).method
        prefixes = self.chains[member].prefixes()
        return [(prefix, self.layout.stage(method, str(prefix))) for prefix in prefixes]

    @cached_property
    def trained(self) -> dict[str, ModelFolder]:
        """Every detector and every stage, by its title."""
        found = {name: self.layout.detector(name) for name in self.experiment.detectors}
        for member in self.chains:
            method = run_of(self.experiment, member).method
            found |= {f"{method}: {prefix}": folder for prefix, folder in self.stages_of(member)}
        return found

    def finding(self) -> Finding:
        """The two sentences."""
        student = self.experiment.student.name
        measured: dict[Role, Measured] = {"baseline": self._measured_detector(student)}
        measured |= {role: self._measured_run(name) for role, name in self.members.items()}
        if self.compared.teacher is not None:
            measured["teacher"] = self._measured_detector(self.compared.teacher)
        return find(student, self.context.dataset.reported, measured, self._headline[1])

    @property
    def _headline(self) -> tuple[str, str]:
        return HEADLINES[self.context.dataset.protocol]

    def _measured_detector(self, name: str) -> Measured:
        folder = self.layout.detector(name)
        return Measured(name, (), {self.experiment.seed: self._ap(folder)}, _epochs([folder]))

    def _measured_run(self, member: str) -> Measured:
        """A run over all its seeds, as far as these have the same teachers."""
        name, teachers = member.partition("~")[0], _teachers(self.chains[member])
        ap = {
            seed_of(self.experiment, other): self._ap(self.end(other))
            for other in members(self.experiment, name)
            if other in self.chains and _teachers(self.chains[other]) == teachers
        }
        epochs = _epochs([folder for _, folder in self.stages_of(member)])
        return Measured(name, teachers, ap, epochs)

    def _ap(self, folder: ModelFolder) -> float | None:
        """The headline in percent on the reported split; None: not measured."""
        metrics = read_metrics(folder)
        return None if metrics is None else _percent(metrics.value(self._headline[0]))

    def stages(self) -> Iterator[StageRow]:
        """A row for each stage whose training has ended."""
        roles = {member: role for role, member in self.members.items()}
        for member in self.chains:
            before = self._start(member)
            for number, (prefix, folder) in enumerate(self.stages_of(member), start=1):
                history = read_history(folder)
                if history is None:
                    break
                after, teacher = _last_ap(history), prefix.last.teacher
                teacher_ap = None if teacher is None else self._val_ap(teacher)
                epochs = len(history.epochs)
                yield StageRow(
                    member, number, teacher, teacher_ap, before, after, epochs, roles.get(member)
                )
                before = after

    def curves(self) -> Iterator[Line]:
        """Validation AP over the epochs of every run, and the student's without a teacher."""
        roles = {member: role for role, member in self.members.items()}
        longest = 0
        for member in self.chains:
            start = self._start(member)
            points = [] if start is None else [(0.0, start)]
            marks, ended = [], 0
            for prefix, folder in self.stages_of(member):
                history = read_history(folder)
                if history is None:
                    break
                own = [_percent(epoch.val.get(SCORE)) for epoch in history.epochs]
                points += [
                    (float(ended + n), math.nan if ap is None else ap)
                    for n, ap in enumerate(own, start=1)
                ]
                ended += len(own)
                if own and own[-1] is not None:
                    marks.append((float(ended), own[-1], prefix.last.teacher or ""))
            longest = max(longest, ended)
            if ended:
                yield Line(member, roles.get(member), tuple(points), tuple(marks))
        baseline = self._val_ap(self.experiment.student.name)
        if baseline is not None and longest:
            ends = ((0.0, baseline), (float(longest), baseline))
            yield Line(self.experiment.student.name, "baseline", ends)

    def _start(self, member: str) -> float | None:
        """Validation AP of the student before a chain; None: it starts afresh, or not measured."""
        method = run_of(self.experiment, member).method
        if starts_afresh(self.experiment, method, self.chains[member].prefixes()[0]):
            return None
        return self._val_ap(self.experiment.student.name)

    def _val_ap(self, detector: str) -> float | None:
        metrics = read_metrics(self.layout.detector(detector))
        return None if metrics is None else _percent(metrics.splits["val"].get(SCORE))


def _teachers(chain: Chain) -> tuple[str, ...]:
    return tuple(stage.teacher for stage in chain.stages if stage.teacher is not None)


def _epochs(folders: list[ModelFolder]) -> int | None:
    """Epochs of trainings together; None: one has not ended, or all were done elsewhere."""
    histories = [read_history(folder) for folder in folders]
    known = [history for history in histories if history is not None]
    total = sum(len(history.epochs) for history in known)
    return total if total and len(known) == len(folders) else None


def _last_ap(history: History) -> float | None:
    return _percent(history.epochs[-1].val.get(SCORE)) if history.epochs else None


def _percent(fraction: float | None) -> float | None:
    """None too for what pycocotools and MMDetection say of nothing to find: -1."""
    return None if fraction is None or fraction < 0 else 100 * fraction
