"""The papers' tables and figures: what was published, and the model that each value is measured on.

Everything is a function of ``config/paper_tables.yaml``, the experiments and the chains of their
runs, so the workflow knows from it which models to evaluate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, PositiveInt, ValidationError, model_validator

from mtpd.chains import Chain
from mtpd.errors import UserError
from mtpd.evaluation.metrics import METRICS, SPLIT_METRICS
from mtpd.experiment import runs
from mtpd.experiment.load import experiment_path, open_experiment
from mtpd.experiment.recipes import Made, Task
from mtpd.layout import Layout, ModelFolder, PaperLayout
from mtpd.settings.experiment import Experiment, Name
from mtpd.settings.reading import explain, read_mapping
from mtpd.settings.runtime import EXPERIMENTS, PAPER_TABLES
from mtpd.settings.values import SettingError, Settings, Text

TABLE_SUFFIXES = ("csv", "md", "tex")
FIGURE_SUFFIXES = ("png", "pdf")

REPORT = "report"
"""Key of the page that shows them all."""

Chains = Mapping[str, Mapping[str, Chain]]
"""Experiment → member of a run → its chain."""


class Reference(Settings):
    """A model of an experiment: a detector without teacher, or the student after a run's stage."""

    experiment: Name
    detector: Text | None = Field(default=None, description="The student or a teacher, or else run")
    run: Text | None = Field(default=None, description="Of several seeds: the mean over them")
    stage: PositiveInt | None = Field(default=None, description="Of the run; none: its last")


class Cell(Reference):
    """A value that a paper gives, and the model and metric that it is measured by here."""

    metric: Text = Field(description="A key of mtpd.evaluation.metrics.METRICS")
    published: FiniteFloat | None = Field(
        default=None, description="In percent, millions, 1e9 or ms; none: the paper gives no value"
    )
    approximate: bool = Field(default=False, description="Read off a figure")
    note: Text = Field(default="", description="Footnote of the published value")


class Row(Settings):
    """One row of a table."""

    labels: tuple[Text, ...]
    cells: dict[Text, Cell] = Field(min_length=1, description="By the name of the column")


class Table(Settings):
    """One table of a paper."""

    title: Text
    source: Text
    labels: tuple[Text, ...] = Field(min_length=1, description="Names of what describes a row")
    rows: tuple[Row, ...] = Field(min_length=1)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of cells, in order of appearance."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.cells))


class ApOverStages(Settings):
    """The student's accuracy before the chain and after each of its stages."""

    kind: Literal["ap_over_stages"]
    experiment: Name
    runs: tuple[Text, ...] = Field(min_length=1)
    metric: Text = "bbox_mAP"
    title: Text = ""


class DirectAgainstProgressive(Settings):
    """Bars of a table's columns, the published value beside the measured one."""

    kind: Literal["direct_against_progressive"]
    table: Name
    columns: tuple[Text, ...] | None = Field(
        default=None, min_length=1, description="Of the table; none: all"
    )
    title: Text = ""


class CostMatrix(Settings):
    """Adaptation costs between an experiment's detectors, with the teachers that runs chose."""

    kind: Literal["cost_matrix"]
    experiment: Name
    runs: tuple[Text, ...] = Field(min_length=1)
    title: Text = ""


class LossAgainstAp(Settings):
    """Training loss against validation accuracy, epoch by epoch, of the student and of runs."""

    kind: Literal["training_loss_against_ap"]
    experiment: Name
    runs: tuple[Text, ...] = Field(min_length=1)
    metric: Text = "bbox_mAP"
    title: Text = ""


Figure = Annotated[
    ApOverStages | DirectAgainstProgressive | CostMatrix | LossAgainstAp,
    Field(discriminator="kind"),
]
Item = Table | ApOverStages | DirectAgainstProgressive | CostMatrix | LossAgainstAp


class Paper(Settings):
    """All tables and figures, by the names of their files."""

    tables: dict[Name, Table] = Field(default_factory=dict)
    figures: dict[Name, Figure] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agrees(self) -> Paper:
        for name, table in self.tables.items():
            _check_table(f"tables.{name}", table)
        for name, figure in self.figures.items():
            where = f"figures.{name}"
            if isinstance(figure, DirectAgainstProgressive):
                _check_one_of(f"{where}.table", "table", figure.table, self.tables)
                columns = self.tables[figure.table].columns
                for column in figure.columns or ():
                    _check_one_of(f"{where}.columns", "column", column, columns)
            elif not isinstance(figure, CostMatrix):
                _check_one_of(f"{where}.metric", "metric", figure.metric, SPLIT_METRICS)
        return self

    @property
    def items(self) -> dict[str, Item]:
        """Every table and figure by its key, such as ``tables.mtpd_best``."""
        tables = {f"tables.{name}": table for name, table in self.tables.items()}
        return {**tables, **{f"figures.{name}": figure for name, figure in self.figures.items()}}


@dataclass(frozen=True)
class Model:
    """A model that an experiment trains.

    Attributes:
        experiment: Name of the experiment.
        detector: A detector without teacher, or None.
        method: How the student is taught, or None for a detector.
        chain: The stages that the student has been through, or None for a detector.
    """

    experiment: str
    detector: str | None = None
    method: str | None = None
    chain: Chain | None = None

    def folder(self, results: Path) -> ModelFolder:
        """The model's files below the folder of all results."""
        layout = Layout(results, self.experiment)
        if self.detector is not None:
            return layout.detector(self.detector)
        assert self.method is not None
        return layout.stage(self.method, str(self.chain))

    def history(self, results: Path) -> Made:
        """Its ``history.json``, and the job that makes it."""
        return Made(self.folder(results).history, self._task("train", "stage"))

    def metrics(self, results: Path) -> Made:
        """Its ``metrics.json``, and the job that makes it."""
        task = self._task("evaluate_detector", "evaluate_stage")
        return Made(self.folder(results).metrics, task)

    def _task(self, of_detector: str, of_stage: str) -> Task:
        if self.detector is not None:
            return Task(of_detector, (self.detector,))
        return Task(of_stage, (str(self.method), str(self.chain)))

    def stages(self) -> list[Model]:
        """Of a student: the students after each stage of its chain, itself last."""
        assert self.chain is not None
        return [replace(self, chain=prefix) for prefix in self.chain.prefixes()]


def load_paper(path: Path = PAPER_TABLES) -> Paper:
    """Read and check the tables at ``path``, without looking at the experiments that they name.

    Raises:
        UserError: The file or one of its keys is wrong.
    """
    raw = read_mapping(path, "write a mapping with the keys tables and figures")
    try:
        return Paper.model_validate(raw)
    except ValidationError as error:
        raise UserError(*explain(path, error)) from error


def choose_items(path: Path, paper: Paper, items: Sequence[str] | None) -> tuple[str, ...]:
    """Keys of ``items``, or of all tables and figures and of their page.

    Raises:
        UserError: There is no such table or figure in the file at ``path``.
    """
    known = (*paper.items, REPORT)
    for item in items or ():
        if item not in known:
            raise UserError(path, f"there is no '{item}'", _remedy(item, known))
    return tuple(items or known)


def experiments_of(paper: Paper, items: Iterable[str] | None = None) -> tuple[str, ...]:
    """Names of the experiments that ``items``, or else all, need; each once."""
    chosen = paper.items if items is None else items
    return tuple(dict.fromkeys(reference.experiment for _, reference in _references(paper, chosen)))


def load_experiments(
    path: Path, paper: Paper, folder: Path = EXPERIMENTS, items: Iterable[str] | None = None
) -> dict[str, Experiment]:
    """The experiments in ``folder``, or of those that come with it, that ``items`` need, or all.

    Raises:
        UserError: An experiment is wrong, or has no such detector, run or stage.
    """
    chosen = tuple(paper.items if items is None else items)
    paths = {name: experiment_path(name, folder) for name in experiments_of(paper, chosen)}
    found = [path for path in paths.values() if path.is_file()]
    known = sorted({path.stem for path in (*found, *folder.glob("*.yaml"))})
    for where, reference in _references(paper, chosen):
        if reference.experiment not in known:
            problem = f"there is no experiment '{reference.experiment}' in {folder}"
            remedy = _remedy(reference.experiment, known)
            raise UserError(f"{path}: {where}.experiment", problem, remedy)
    experiments = {name: open_experiment(path)[0] for name, path in paths.items()}
    check_references(path, paper, experiments, chosen)
    return experiments


def check_references(
    path: Path,
    paper: Paper,
    experiments: Mapping[str, Experiment],
    items: Iterable[str] | None = None,
) -> None:
    """Every detector, run and stage that ``items``, or else all, name must exist.

    Raises:
        UserError: One does not.
    """
    for where, reference in _references(paper, paper.items if items is None else items):
        experiment = experiments[reference.experiment]
        kind, name, known = "run", reference.run, tuple(experiment.runs)
        if name is None:
            kind, name, known = "detector", str(reference.detector), experiment.detectors
        if name not in known:
            problem = f"{reference.experiment} has no {kind} '{name}'"
            raise UserError(f"{path}: {where}.{kind}", problem, _remedy(name, known))
        if reference.stage is not None:
            _check_stage(f"{path}: {where}.stage", experiment, name, reference.stage)


def models_of(
    paper: Paper, item: str, experiments: Mapping[str, Experiment], chains: Chains
) -> list[Model]:
    """Models that ``item`` shows; those of runs whose order is not decided yet are left out.

    A cell of an intermediate stage, or a figure over stages, names students that no table of an
    experiment shows: their evaluation is asked for here.
    """
    found = [
        model
        for _, reference in _references(paper, [item])
        for model in models(reference, experiments[reference.experiment], chains)
    ]
    figure = paper.items[item]
    if isinstance(figure, ApOverStages):
        found = [stage for model in found for stage in model.stages()]
    if isinstance(figure, ApOverStages | LossAgainstAp):
        student = experiments[figure.experiment].student.name
        found.insert(0, Model(figure.experiment, detector=student))
    return list(dict.fromkeys(found))


def models(reference: Reference, experiment: Experiment, chains: Chains) -> list[Model]:
    """The models of ``reference``: one for each member of a run whose chain reaches its stage."""
    name = reference.experiment
    if reference.run is None:
        return [Model(name, detector=reference.detector)]
    method = experiment.runs[reference.run].method
    members = runs.members(experiment, reference.run)
    known = [chains[name][member] for member in members if member in chains[name]]
    stages = [Model(name, method=method, chain=chain).stages() for chain in known]
    last = (reference.stage or 0) - 1
    return [prefixes[last] for prefixes in stages if last < len(prefixes)]


def published_value(paper: Paper, metric: str, *references: Reference) -> float | None:
    """What a table gives for a model, which ``references`` name alike; None: no table does."""
    for table in paper.tables.values():
        for _, cell in _cells("", table, table.columns):
            named = Reference(**cell.model_dump(include=set(Reference.model_fields)))
            if named in references and cell.metric == metric and cell.published is not None:
                return cell.published
    return None


def trained_parts(model: Model, experiment: Experiment) -> list[Model]:
    """What ``model`` was trained from, in order, itself last: the baseline and earlier stages."""
    if model.chain is None or model.method is None:
        return [model]
    stages = model.stages()
    if runs.starts_afresh(experiment, model.method, model.chain.prefixes()[0]):
        return stages
    return [Model(model.experiment, detector=experiment.student.name), *stages]


def inputs_of(
    paper: Paper,
    item: str,
    results: Path,
    experiments: Mapping[str, Experiment],
    chains: Chains,
) -> list[tuple[str, Made]]:
    """Files below ``results`` that ``item`` is made from when everything has been measured.

    Each with the name of the experiment that it belongs to, and the job that makes it.
    """
    chosen = paper.items[item]
    if isinstance(chosen, CostMatrix):
        layout, experiment = Layout(results, chosen.experiment), experiments[chosen.experiment]
        decided = runs.chains_of_runs(experiment, {})
        members = [name for run in chosen.runs for name in runs.members(experiment, run)]
        made = [Made(layout.costs, Task("costs"))]
        if not all(member in decided for member in members):
            made.append(Made(layout.order, Task("order")))
        return [(chosen.experiment, one) for one in made]
    found = models_of(paper, item, experiments, chains)
    histories = [(model.experiment, model.history(results)) for model in found]
    if isinstance(chosen, LossAgainstAp):
        return histories
    return [*((model.experiment, model.metrics(results)) for model in found), *histories]


def content_of(paper: Paper, item: str) -> dict[str, Any]:
    """What ``item`` says, JSON-ready: it is made again when this changes."""
    if item == REPORT:
        return {"items": list(paper.items)}
    chosen = paper.items[item]
    content = chosen.model_dump(mode="json", exclude_defaults=True)
    if isinstance(chosen, DirectAgainstProgressive):
        table = paper.tables[chosen.table]
        content["table"] = table.model_dump(mode="json", exclude_defaults=True)
    return content


def products_of(paper: Paper, results: Path) -> list[Path]:
    """Files of all tables and figures, and their page."""
    return [*items_of(paper, results), PaperLayout(results).report]


def items_of(paper: Paper, results: Path) -> list[Path]:
    """Files of all tables and figures."""
    layout = PaperLayout(results)
    return [
        *(layout.table(name, kind) for name in paper.tables for kind in TABLE_SUFFIXES),
        *(layout.figure(name, kind) for name in paper.figures for kind in FIGURE_SUFFIXES),
    ]


def _references(paper: Paper, items: Iterable[str]) -> Iterator[tuple[str, Reference]]:
    """Every model that ``items`` name, and the key of the file where they do."""
    for key in items:
        item = paper.items[key]
        if isinstance(item, Table):
            yield from _cells(key, item, item.columns)
        elif isinstance(item, DirectAgainstProgressive):
            table = paper.tables[item.table]
            yield from _cells(f"tables.{item.table}", table, item.columns or table.columns)
        else:
            for run in item.runs:
                yield key, Reference(experiment=item.experiment, run=run)


def _cells(key: str, table: Table, columns: Sequence[str]) -> Iterator[tuple[str, Cell]]:
    for number, row in enumerate(table.rows):
        for column, cell in row.cells.items():
            if column in columns:
                yield f"{key}.rows.{number}.cells.{column}", cell


def _check_table(where: str, table: Table) -> None:
    for number, row in enumerate(table.rows):
        if len(row.labels) != len(table.labels):
            raise SettingError(
                f"{where}.rows.{number}.labels",
                f"has {len(row.labels)} labels, but {where}.labels names {len(table.labels)}",
                "give one for each",
            )
    for place, cell in _cells(where, table, table.columns):
        if (cell.detector is None) == (cell.run is None):
            raise SettingError(place, f"names {_both(cell)}", "give a detector or a run")
        if cell.stage is not None and cell.run is None:
            remedy = "remove it, or give a run"
            raise SettingError(f"{place}.stage", "a detector has no stages", remedy)
        if cell.approximate and cell.published is None:
            problem = "there is no published value"
            raise SettingError(f"{place}.approximate", problem, "add published")
        _check_one_of(f"{place}.metric", "metric", cell.metric, METRICS)


def _both(cell: Cell) -> str:
    return "no model" if cell.run is None else "a detector and a run"


def _check_one_of(where: str, kind: str, name: str, known: Iterable[str]) -> None:
    names = tuple(known)
    if name not in names:
        raise SettingError(where, f"there is no {kind} '{name}'", _remedy(name, names))


def _check_stage(where: str, experiment: Experiment, name: str, stage: int) -> None:
    """A run whose order only the data decides has as many stages as it may have teachers."""
    chains = runs.chains_of_runs(experiment, {})
    run, member = experiment.runs[name], runs.members(experiment, name)[0]
    if member in chains:
        most = len(chains[member].stages)
    elif run.order == "direct":
        most = 1
    else:
        most = run.max_teachers or experiment.ordering.max_teachers or len(experiment.teachers)
    if stage > most:
        stages = "1 stage" if most == 1 else f"{most} stages at most"
        raise UserError(where, f"is {stage}, but '{name}' has {stages}", f"give 1 to {most}")


def _remedy(name: str, known: Sequence[str]) -> str:
    """The names that look like ``name``, or else all of them."""
    close = get_close_matches(name, known, n=3)
    return f"use one of: {', '.join(close or known) or 'none'}"
