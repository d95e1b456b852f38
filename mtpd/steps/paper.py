"""The papers' tables and figures from files alone: at any time, with what is measured so far."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mtpd.digests import Digests
from mtpd.evaluation.metrics import METRICS
from mtpd.experiment.orders import known_chains
from mtpd.experiment.runs import members
from mtpd.layout import Layout, PaperLayout
from mtpd.overview.records import History, read_history
from mtpd.papers.changes import record_item
from mtpd.papers.measured import Measurement, Measurements
from mtpd.papers.paper import (
    FIGURE_SUFFIXES,
    REPORT,
    TABLE_SUFFIXES,
    ApOverStages,
    CostMatrix,
    DirectAgainstProgressive,
    LossAgainstAp,
    Paper,
    Reference,
    Table,
    inputs_of,
    models,
    published_value,
)
from mtpd.reporting.bars import Bar, Group, draw_bars
from mtpd.reporting.generalisation import Trajectory, draw_loss_against_ap
from mtpd.reporting.page.papers import paper_report
from mtpd.reporting.page.render import write_page
from mtpd.reporting.paper import MeasuredTable, write_paper_table
from mtpd.reporting.stages import Point, RunStages, draw_stages
from mtpd.settings.experiment import Experiment
from mtpd.steps.cost_matrix import write_cost_matrix

NO_TEACHER = "without teacher"


def write_paper(
    paper: Paper, experiments: Mapping[str, Experiment], results: Path, items: Iterable[str]
) -> list[Path]:
    """Write ``items``, and give the files that were written.

    What has not been measured is marked as missing, so that it can be called at any time.

    Args:
        paper: The tables and figures.
        experiments: Those that ``items`` need, by name.
        results: Folder of all results.
        items: Keys of tables and figures, such as ``tables.mtpd_best``.

    Raises:
        UserError: A file below ``results`` is not what its step writes.
    """
    measured = _measurements(experiments, results)
    writer, digests = _Writer(paper, measured), Digests()
    written = []
    for item in items:
        written += writer.write(item)
        inputs = inputs_of(paper, item, results, experiments, measured.chains)
        record_item(paper, item, results, inputs, digests)
    return written


def measured_tables(
    paper: Paper, experiments: Mapping[str, Experiment], results: Path
) -> list[MeasuredTable]:
    """All tables, with what is measured of them so far."""
    writer = _Writer(paper, _measurements(experiments, results))
    return [writer.measured_table(name) for name in paper.tables]


def _measurements(experiments: Mapping[str, Experiment], results: Path) -> Measurements:
    chains = {
        name: known_chains(experiment, Layout(results, name))
        for name, experiment in experiments.items()
    }
    return Measurements(experiments, results, chains)


def write_paper_report(paper: Paper, experiments: Mapping[str, Experiment], results: Path) -> Path:
    """Write the page of all tables and figures, and give its path.

    Args:
        paper: The tables and figures.
        experiments: All that they name.
        results: Folder of all results; figures are shown as far as they lie there.

    Raises:
        UserError: A file below ``results`` is not what its step writes.
    """
    layout, tables = PaperLayout(results), measured_tables(paper, experiments, results)
    figures = {name: (_title(paper, name), layout.figure(name, "png")) for name in paper.figures}
    write_page(paper_report(tables, figures), layout.report)
    # What the items are made from stands in their own records.
    record_item(paper, REPORT, results, [], Digests())
    return layout.report


def _title(paper: Paper, name: str) -> str:
    figure = paper.figures[name]
    if isinstance(figure, DirectAgainstProgressive):
        return figure.title or paper.tables[figure.table].title
    return figure.title or name


@dataclass(frozen=True)
class _Writer:
    paper: Paper
    measured: Measurements

    def write(self, key: str) -> list[Path]:
        name = key.partition(".")[2]
        item, layout = self.paper.items[key], PaperLayout(self.measured.results)
        if isinstance(item, Table):
            paths = [layout.table(name, suffix) for suffix in TABLE_SUFFIXES]
            write_paper_table(self.measured_table(name), *paths)
            return paths
        paths = [layout.figure(name, suffix) for suffix in FIGURE_SUFFIXES]
        if isinstance(item, DirectAgainstProgressive):
            self._bars(item, paths)
        elif isinstance(item, ApOverStages):
            self._stages(item, paths)
        elif isinstance(item, LossAgainstAp):
            self._loss_against_ap(item, paths)
        else:
            self._cost_matrix(item, paths)
        return paths

    def measured_table(self, name: str) -> MeasuredTable:
        """A table, with what is measured of it."""
        table = self.paper.tables[name]
        return MeasuredTable(name, table, self._rows(table))

    def _rows(self, table: Table) -> tuple[dict[str, Measurement], ...]:
        return tuple(
            {name: self.measured.of(cell, cell.metric) for name, cell in row.cells.items()}
            for row in table.rows
        )

    def _bars(self, figure: DirectAgainstProgressive, paths: list[Path]) -> None:
        table = self.paper.tables[figure.table]
        columns = figure.columns or table.columns
        groups = []
        for row, measurements in zip(table.rows, self._rows(table), strict=True):
            cells = {name: row.cells[name] for name in columns if name in row.cells}
            axes = dict.fromkeys(_axis(cell.metric) for cell in cells.values())
            bars = {
                name: Bar(cell.published, measurements[name].mean, measurements[name].deviation)
                for name, cell in cells.items()
            }
            *panel, label = row.labels
            groups.append(Group(", ".join(panel), label, bars, ", ".join(axes)))
        draw_bars(groups, columns, figure.title or table.title, paths)

    def _stages(self, figure: ApOverStages, paths: list[Path]) -> None:
        name, metric = figure.experiment, figure.metric
        experiment = self.measured.experiments[name]
        without = self._point(metric, Reference(experiment=name, detector=experiment.student.name))
        runs = []
        for run in figure.runs:
            last = Reference(experiment=name, run=run)
            chain = self.measured.chains[name].get(members(experiment, run)[0])
            if chain is None:
                points = [self._point(metric, last)]
                teachers = "order missing"
            else:
                stages = range(1, len(chain.stages) + 1)
                numbered = [last.model_copy(update={"stage": stage}) for stage in stages]
                points = [self._point(metric, stage) for stage in numbered[:-1]]
                points.append(self._point(metric, last, numbered[-1]))
                teachers = " → ".join(stage.teacher or NO_TEACHER for stage in chain.stages)
            runs.append(RunStages(run, teachers, (without, *points)))
        draw_stages(runs, _axis(metric), figure.title, paths)

    def _point(self, metric: str, *references: Reference) -> Point:
        """A model's accuracy; ``references`` name it alike."""
        found = self.measured.of(references[0], metric)
        return Point(found.mean, found.deviation, published_value(self.paper, metric, *references))

    def _loss_against_ap(self, figure: LossAgainstAp, paths: list[Path]) -> None:
        name = figure.experiment
        experiment = self.measured.experiments[name]
        references = {NO_TEACHER: Reference(experiment=name, detector=experiment.student.name)}
        references |= {run: Reference(experiment=name, run=run) for run in figure.runs}
        trajectories = []
        for label, reference in references.items():
            for model in models(reference, experiment, self.measured.chains):
                history = read_history(model.folder(self.measured.results))
                if history is not None and history.epochs:
                    trajectories.append(_trajectory(label, history, figure.metric))
        axis = f"validation {_axis(figure.metric)}"
        draw_loss_against_ap(list(references), trajectories, axis, figure.title, paths)

    def _cost_matrix(self, figure: CostMatrix, paths: list[Path]) -> None:
        experiment = self.measured.experiments[figure.experiment]
        layout = Layout(self.measured.results, figure.experiment)
        write_cost_matrix(experiment, layout, figure.runs, figure.title, paths)


def _axis(metric: str) -> str:
    unit = METRICS[metric].unit
    return METRICS[metric].title + (f" ({unit})" if unit else "")


def _trajectory(name: str, history: History, metric: str) -> Trajectory:
    accuracy = [epoch.val.get(metric) for epoch in history.epochs]
    percent = METRICS[metric].in_unit
    return Trajectory(
        name,
        tuple(epoch.detection_loss for epoch in history.epochs),
        tuple(math.nan if value is None else percent(value) for value in accuracy),
    )
