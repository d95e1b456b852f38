"""The report of an experiment, of what there is of its results so far."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mtpd.experiment.runs import all_members, members
from mtpd.files import read_json
from mtpd.overview.records import read_costs, read_metrics
from mtpd.reporting.page.content import FeatureMaps, Pictures, Report, Role
from mtpd.reporting.page.order import matrix_table, orders_of
from mtpd.reporting.page.render import write_page
from mtpd.reporting.page.tables import class_table, results_table, size_table, stages_table
from mtpd.steps.context import Context
from mtpd.steps.report_detections import Detections
from mtpd.steps.report_facts import facts
from mtpd.steps.report_maps import MOST_PARAMETERS, Shown, feature_maps
from mtpd.steps.report_runs import SCORE, RunsSoFar
from mtpd.steps.results import STUDENT, TEACHER, results_so_far

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
        self.runs = RunsSoFar(context)
        self._judged: dict[str, Detections] = {}

    def report(self) -> Report:
        """All of the page."""
        table, missing = results_so_far(self.context, self.runs.chains)
        pictures = self._pictures()
        return Report(
            experiment=self.layout.experiment,
            description=self.experiment.description,
            split=self.context.dataset.reported,
            finding=self.runs.finding(),
            models=tuple(self.runs.models),
            remarks=tuple(self._remarks(missing)),
            results=results_table(table, self._roles_of(table)) if len(table) else None,
            stages=stages_table(rows) if (rows := list(self.runs.stages())) else None,
            curves=tuple(self.runs.curves()),
            **self._order(),
            **self._accuracy(),
            pictures=pictures,
            maps=self._maps(pictures),
            facts=facts(self.context, self.runs.trained),
            settings=self._settings(),
        )

    def _remarks(self, missing: int) -> Iterator[str]:
        """What is not on the page, with its number."""
        undecided = len(all_members(self.experiment)) - len(self.runs.chains)
        if undecided:
            yield f"The order of {undecided} runs is not decided yet: they are not on this page."
        if missing:
            yield f"{missing} detectors and runs are not measured yet: they have no row."
        others = len(self.runs.chains) - len(self.runs.members)
        if others > 0:
            yield (
                f"The table has all runs; what follows it compares {len(self.runs.members)} of"
                f" them, chosen by settings and orders, and leaves {others} out."
            )
        if (large := self._too_large()) is not None:
            yield f"Feature maps are left out: {large} is too large to run on a CPU for a report."

    def _roles_of(self, table: pd.DataFrame) -> list[Role | None]:
        """Role of every row of the results table."""
        roles = {member: role for role, member in self.runs.members.items()}
        detectors: dict[str, Role] = {self.experiment.student.name: "baseline"}
        if self.runs.compared.teacher is not None:
            detectors[self.runs.compared.teacher] = "teacher"
        rows = zip(table["run"], table["detectors"], strict=True)
        return [
            detectors.get(detector) if run in (STUDENT, TEACHER) else roles.get(run)
            for run, detector in rows
        ]

    def _order(self) -> dict[str, Any]:
        """The costs and the orders that they led to."""
        if not self.layout.order.is_file():
            return {}
        order, first = read_json(self.layout.order), self.runs.compared.progressive
        # Members of a run have one order, unless it is drawn at random.
        runs = list(dict.fromkeys([*([first] if first else []), *self.runs.chains]))
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
        if not self.runs.models:
            return {}
        reported = self.context.dataset.reported
        found = self._detections(reported)
        metrics = {model: read_json(folder.metrics) for model, folder in self.runs.models.items()}
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
        students = [model for model in self.runs.models if model.role in PICTURED]
        if len(students) < 2:
            return None
        return self._detections("val").pictures(students)

    def _detections(self, split: str) -> Detections:
        """Of the compared models; judged once where a split is both shown and reported."""
        if split not in self._judged:
            where = self.context.dataset.splits[split]
            self._judged[split] = Detections(split, where, self.runs.models)
        return self._judged[split]

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
            self.runs.compared.progressive,
            self.runs.compared.teacher,
        )
        if chain is None or teacher is None:
            return []
        detector = self.layout.detector
        shown = [
            Shown(f"{student}, before", "baseline", student, detector(student)),
            Shown(f"{student}, after {chain}", "progressive", student, self.runs.end(chain)),
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
