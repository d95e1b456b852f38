"""The report of an experiment, of what there is of its results so far."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mtpd.chains import Chain
from mtpd.experiment.comparison import comparison
from mtpd.experiment.orders import known_chains
from mtpd.experiment.runs import all_members, members, run_of, seed_of, starts_afresh
from mtpd.files import read_json
from mtpd.layout import ModelFolder
from mtpd.overview.records import History, read_costs, read_history, read_metrics
from mtpd.reporting.page.content import (
    FeatureMaps,
    Finding,
    Line,
    Model,
    Pictures,
    Report,
    Role,
)
from mtpd.reporting.page.findings import Measured, find
from mtpd.reporting.page.order import matrix_table, orders_of
from mtpd.reporting.page.render import write_page
from mtpd.reporting.page.tables import (
    StageRow,
    class_table,
    results_table,
    size_table,
    stages_table,
)
from mtpd.steps.context import Context
from mtpd.steps.report_detections import Detections
from mtpd.steps.report_facts import facts
from mtpd.steps.report_maps import MOST_PARAMETERS, Shown, feature_maps
from mtpd.steps.results import results_so_far

SCORE = "bbox_mAP"
PICTURED: tuple[Role, ...] = ("baseline", "direct", "progressive")


def write_report(context: Context) -> None:
    """Write ``report.html``; what is not there yet is said to be not measured.

    Raises:
        UserError: A file of the results is not what its step writes.
    """
    write_page(_Gathering(context).report(), context.layout.report)


class _Gathering:
    """Reads what there is of an experiment's results."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.experiment, self.layout = context.experiment, context.layout
        self.chains = known_chains(self.experiment, self.layout)
        self.compared = comparison(self.experiment, self.chains)

    def report(self) -> Report:
        """All of the page."""
        table, missing = results_so_far(self.context, self.chains)
        pictures = self._pictures()
        return Report(
            experiment=self.layout.experiment,
            description=self.experiment.description,
            split=self.context.dataset.reported,
            finding=self._finding(),
            models=tuple(self.models),
            remarks=tuple(self._remarks(missing)),
            results=results_table(table, self._roles_of(table)) if len(table) else None,
            stages=stages_table(rows) if (rows := list(self._stages())) else None,
            curves=tuple(self._curves()),
            **self._order(),
            **self._accuracy(),
            pictures=pictures,
            maps=self._maps(pictures),
            facts=facts(self.context, self._trained),
            settings=self._settings(),
        )

    @cached_property
    def _members(self) -> dict[Role, str]:
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
        found |= {Model(role, name): self._end(name) for role, name in self._members.items()}
        if teacher is not None:
            found[Model("teacher", teacher)] = self.layout.detector(teacher)
        return {model: folder for model, folder in found.items() if folder.metrics.is_file()}

    def _end(self, member: str) -> ModelFolder:
        """Folder of the student at the end of a chain."""
        method = run_of(self.experiment, member).method
        return self.layout.stage(method, str(self.chains[member]))

    def _stages_of(self, member: str) -> list[tuple[Chain, ModelFolder]]:
        method = run_of(self.experiment, member).method
        prefixes = self.chains[member].prefixes()
        return [(prefix, self.layout.stage(method, str(prefix))) for prefix in prefixes]

    @cached_property
    def _trained(self) -> dict[str, ModelFolder]:
        """Every detector and every stage, by its title."""
        found = {name: self.layout.detector(name) for name in self.experiment.detectors}
        for member in self.chains:
            method = run_of(self.experiment, member).method
            found |= {f"{method}: {prefix}": folder for prefix, folder in self._stages_of(member)}
        return found

    def _finding(self) -> Finding:
        """The two sentences."""
        student = self.experiment.student.name
        measured: dict[Role, Measured] = {"baseline": self._measured_detector(student)}
        measured |= {role: self._measured_run(name) for role, name in self._members.items()}
        if self.compared.teacher is not None:
            measured["teacher"] = self._measured_detector(self.compared.teacher)
        return find(student, self.context.dataset.reported, measured)

    def _measured_detector(self, name: str) -> Measured:
        folder = self.layout.detector(name)
        return Measured(name, (), {self.experiment.seed: _ap(folder)}, _epochs([folder]))

    def _measured_run(self, member: str) -> Measured:
        """A run over all its seeds, as far as these have the same teachers."""
        name, teachers = member.partition("~")[0], _teachers(self.chains[member])
        ap = {
            seed_of(self.experiment, other): _ap(self._end(other))
            for other in members(self.experiment, name)
            if other in self.chains and _teachers(self.chains[other]) == teachers
        }
        epochs = _epochs([folder for _, folder in self._stages_of(member)])
        return Measured(name, teachers, ap, epochs)

    def _remarks(self, missing: int) -> Iterator[str]:
        """What is not on the page, with its number."""
        undecided = len(all_members(self.experiment)) - len(self.chains)
        if undecided:
            yield f"The order of {undecided} runs is not decided yet: they are not on this page."
        if missing:
            yield f"{missing} detectors and runs are not measured yet: they have no row."
        others = len(self.chains) - len(self._members)
        if others > 0:
            yield (
                f"The table has all runs; what follows it compares {len(self._members)} of them, "
                f"chosen by their settings, and leaves {others} out."
            )
        if (large := self._too_large()) is not None:
            yield f"Feature maps are left out: {large} is too large to run on a CPU for a report."

    def _roles_of(self, table: pd.DataFrame) -> list[Role | None]:
        """Role of every row of the results table."""
        roles = {member: role for role, member in self._members.items()}
        detectors: dict[str, Role] = {self.experiment.student.name: "baseline"}
        if self.compared.teacher is not None:
            detectors[self.compared.teacher] = "teacher"
        rows = zip(table["run"], table["detectors"], strict=True)
        return [roles.get(run) or detectors.get(detector) for run, detector in rows]

    def _stages(self) -> Iterator[StageRow]:
        """A row for each stage whose training has ended."""
        roles = {member: role for role, member in self._members.items()}
        for member in self.chains:
            before = self._start(member)
            for number, (prefix, folder) in enumerate(self._stages_of(member), start=1):
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

    def _curves(self) -> Iterator[Line]:
        """Validation AP over the epochs of every run, and the student's without a teacher."""
        roles = {member: role for role, member in self._members.items()}
        longest = 0
        for member in self.chains:
            start = self._start(member)
            points = [] if start is None else [(0.0, start)]
            marks, ended = [], 0
            for prefix, folder in self._stages_of(member):
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

    def _order(self) -> dict[str, Any]:
        """The costs and the orders that they led to."""
        if not self.layout.order.is_file():
            return {}
        order, first = read_json(self.layout.order), self.compared.progressive
        # Members of a run have one order, unless it is drawn at random.
        runs = list(dict.fromkeys([*([first] if first else []), *self.chains]))
        runs = [run for run in runs if run == members(self.experiment, run.partition("~")[0])[0]]
        orders, costs = orders_of(order, runs), read_costs(self.layout)
        shown: dict[str, Any] = {"orders": orders, "order_remarks": tuple(order.get("remarks", ()))}
        if costs is not None:
            run, teachers = (orders[0].run, orders[0].teachers) if orders else ("", ())
            student = self.experiment.student.name
            shown["matrix"] = matrix_table(costs, student, run, teachers)
        return shown

    def _accuracy(self) -> dict[str, Any]:
        """By class and size, precision and recall, and errors, on the reported split."""
        if not self.models:
            return {}
        reported = self.context.dataset.reported
        found = Detections(reported, self.context.dataset.splits[reported], self.models)
        metrics = {model: read_json(folder.metrics) for model, folder in self.models.items()}
        classes = [
            (model, {name: ap.get(SCORE) for name, ap in one["classes"][reported].items()})
            for model, one in metrics.items()
        ]
        sizes = [(model, one["splits"][reported]) for model, one in metrics.items()]
        return {
            "classes": class_table(classes, found.objects),
            "sizes": size_table(sizes),
            "precision": found.precision(),
            "errors": found.errors(),
        }

    def _pictures(self) -> Pictures | None:
        """Where the students differ most; None: there are not two."""
        students = [model for model in self.models if model.role in PICTURED]
        if len(students) < 2:
            return None
        return Detections("val", self.context.dataset.splits["val"], self.models).pictures(students)

    def _maps(self, pictures: Pictures | None) -> FeatureMaps | None:
        """Maps on the first picture; None: a model is not there yet, or too large."""
        shown = self._mapped
        if not shown or self._too_large() is not None:
            return None
        numbers = [one.number for one in pictures.pictures] if pictures else []
        image = numbers[0] if numbers else self.context.dataset.splits["val"].image_ids()[0]
        return feature_maps(self.context, shown, image)

    @cached_property
    def _mapped(self) -> list[Shown]:
        """The student before and after the chain, and its last teacher; empty: one is missing."""
        student, chain, teacher = (
            self.experiment.student.name,
            self.compared.progressive,
            self.compared.teacher,
        )
        if chain is None or teacher is None:
            return []
        detector = self.layout.detector
        shown = [
            Shown(f"{student}, before", "baseline", student, detector(student)),
            Shown(f"{student}, after {chain}", "progressive", student, self._end(chain)),
            Shown(teacher, "teacher", teacher, detector(teacher)),
        ]
        return shown if all(one.folder.weights.is_file() for one in shown) else []

    def _too_large(self) -> str | None:
        """The first model that is too large to run here."""
        for shown in self._mapped:
            metrics = read_metrics(shown.folder)
            if metrics is not None and (metrics.parameters or 0) > MOST_PARAMETERS:
                return shown.detector
        return None

    def _settings(self) -> str:
        """What the experiment's YAML sets, without what lies where on this machine."""
        settings = self.experiment.model_dump(
            mode="json", exclude_defaults=True, exclude={"resources", "saving", "description"}
        )
        settings["data"].pop("root", None)
        for detector in (settings["student"], *settings.get("teachers", {}).values()):
            for key in ("weights", "start_from", "config"):
                if Path(str(detector.get(key, ""))).is_absolute():
                    detector[key] = Path(detector[key]).name
        return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)


def _teachers(chain: Chain) -> tuple[str, ...]:
    return tuple(stage.teacher for stage in chain.stages if stage.teacher is not None)


def _ap(folder: ModelFolder) -> float | None:
    """AP in percent on the reported split; None: not measured."""
    metrics = read_metrics(folder)
    return None if metrics is None else _percent(metrics.value(SCORE))


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
