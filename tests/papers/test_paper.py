"""The file of the papers' tables: what is wrong in it, and which models it asks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from micro import PROJECT
from paper_case import TABLES, Case

from mtpd.errors import UserError
from mtpd.experiment.recipes import Made
from mtpd.experiment.runs import chains_of_runs
from mtpd.papers.paper import (
    REPORT,
    Reference,
    choose_items,
    experiments_of,
    inputs_of,
    load_experiments,
    load_paper,
    models_of,
    products_of,
    published_value,
)

ROWS = TABLES["tables"]["best"]["rows"]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def rows(**changes: Any) -> list[dict[str, Any]]:
    """The first row alone, its cell ``distilled`` changed; None takes a key out."""
    cell = {**ROWS[0]["cells"]["distilled"], **changes}
    cell = {key: value for key, value in cell.items() if value is not None}
    return [{"labels": ROWS[0]["labels"], "cells": {"distilled": cell}}]


CELL = "tables.best.rows.0.cells.distilled"
WRONG: list[tuple[str, Any, str, str]] = [
    ("tabels", {}, "tabels", "unknown key"),
    ("tables.best.titel", "x", "tables.best.titel", "unknown key"),
    ("tables.best.rows", rows(publised=1), f"{CELL}.publised", "unknown key"),
    ("tables.best.rows", rows(published=float("nan")), f"{CELL}.published", "finite"),
    ("tables.best.rows", rows(metric="bbox_map"), f"{CELL}.metric", "no metric 'bbox_map'; use"),
    ("tables.best.rows", rows(run=None), CELL, "no model"),
    ("tables.best.rows", rows(detector="student"), CELL, "a detector and a run"),
    ("tables.best.rows", rows(run=None, detector="student", stage=1), f"{CELL}.stage", "no stages"),
    ("tables.best.rows", rows(published=None, approximate=True), f"{CELL}.approximate", "no publ"),
    ("tables.best.rows", rows(stage=0), f"{CELL}.stage", "greater than 0"),
    ("tables.best.rows", rows(experiment="mikro"), f"{CELL}.experiment", "use one of: micro"),
    ("tables.best.rows", rows(run="progresive"), f"{CELL}.run", "use one of: progressive"),
    ("tables.best.rows", rows(run="direct", stage=2), f"{CELL}.stage", "'direct' has 1 stage;"),
    ("tables.best.rows", rows(stage=3), f"{CELL}.stage", "2 stages at most"),
    ("tables.best.rows", rows(run="chosen", stage=3), f"{CELL}.stage", "2 stages at most"),
    ("tables.best.rows", rows(run=None, detector="d"), f"{CELL}.detector", "no detector 'd'"),
    ("tables.best.labels", ["student"], "tables.best.rows.0.labels", "2 labels"),
    ("tables.best.rows", [], "tables.best.rows", "at least 1"),
    ("figures.bars.kind", "pie", "figures.bars", "pie"),
    ("figures.bars.table", "bar", "figures.bars.table", "no table 'bar'; use one of: bars"),
    ("figures.bars.columns", ["direct", "x"], "figures.bars.columns", "no column 'x'"),
    ("figures.stages.metric", "parameters", "figures.stages.metric", "no metric 'parameters'"),
    ("figures.stages.runs", ["nobody"], "figures.stages.run", "no run 'nobody'"),
    ("figures.costs.rnus", ["chosen"], "figures.costs.rnus", "unknown key"),
]


@pytest.mark.parametrize(("key", "value", "where", "problem"), WRONG)
def test_wrong_key_is_one_line_with_file_key_and_remedy(
    case: Case, key: str, value: Any, where: str, problem: str
) -> None:
    case.write((key, value))
    with pytest.raises(UserError) as error:
        case.load()
    line = str(error.value)
    assert line.startswith(f"{case.tables}: {where}")
    assert problem in line
    assert "\n" not in line


@pytest.mark.parametrize("text", ["", "- 1\n", "tables: {a: 1\n", "\x00"])
def test_a_file_that_is_no_mapping(case: Case, text: str) -> None:
    case.tables.write_text(text)
    with pytest.raises(UserError, match=r"paper_tables\.yaml"):
        case.load()


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_paper(tmp_path / "none.yaml")


def test_the_project_names_no_unknown_model() -> None:
    file = PROJECT / "config" / "paper_tables.yaml"
    load_experiments(file, load_paper(file), PROJECT / "config" / "experiments")


def test_models_of_a_table_include_intermediate_stages_and_all_seeds(case: Case) -> None:
    paper, experiments = case.load()
    chains = {"micro": chains_of_runs(case.experiment, {})}
    found = models_of(paper, "tables.best", experiments, chains)
    assert [model.folder(Path("r")).path.relative_to("r/micro").as_posix() for model in found] == [
        "detectors/student",
        "stages/fm/a",
        "stages/fm/a+b",
        "stages/fm/a+c~1",
        "stages/fm/a+c~2",
        "stages/fm/a+c~3",
    ]


def test_models_of_a_figure_over_stages(case: Case) -> None:
    paper, experiments = case.load()
    chains = {"micro": chains_of_runs(case.experiment, {"chosen": ["c", "b"]})}
    found = models_of(paper, "figures.stages", experiments, chains)
    assert [str(model.chain or model.detector) for model in found] == [
        *("student", "a", "a+b", "a~1", "a+c~1", "a~2", "a+c~2", "a~3", "a+c~3", "c", "c+b"),
    ]


def test_an_undecided_order_names_no_models(case: Case) -> None:
    case.write(("figures.stages.runs", ["chosen"]))
    paper, experiments = case.load()
    chains = {"micro": chains_of_runs(case.experiment, {})}
    found = models_of(paper, "figures.stages", experiments, chains)
    assert [model.detector for model in found] == ["student"]


def paths_of(inputs: list[tuple[str, Made]]) -> list[Path]:
    return [made.path for _, made in inputs]


def test_inputs(case: Case) -> None:
    paper, experiments = case.load()
    chains = {"micro": chains_of_runs(case.experiment, {})}

    def of(item: str) -> list[str]:
        files = paths_of(inputs_of(paper, item, case.results, experiments, chains))
        return [file.relative_to(case.layout.root).as_posix() for file in files]

    assert of("figures.costs") == ["costs.json", "order.json"]
    assert of("figures.bars") == [
        "stages/fm/b/metrics.json",
        "stages/fm/a+b/metrics.json",
        "stages/fm/b/history.json",
        "stages/fm/a+b/history.json",
    ]
    assert all(file.endswith("history.json") for file in of("figures.generalisation"))


def test_a_cost_matrix_of_named_teachers_needs_no_order(case: Case) -> None:
    case.write(("figures.costs.runs", ["progressive"]))
    paper, experiments = case.load()
    chains = {"micro": chains_of_runs(case.experiment, {})}
    files = paths_of(inputs_of(paper, "figures.costs", case.results, experiments, chains))
    assert files == [case.layout.costs]


def test_products_and_experiments(case: Case) -> None:
    paper, _ = case.load()
    products = [path.as_posix() for path in products_of(paper, Path("results"))]
    assert products[:3] == [f"results/paper/tables/best.{kind}" for kind in ("csv", "md", "tex")]
    assert products[-3:] == [
        *(f"results/paper/figures/generalisation.{kind}" for kind in ("png", "pdf")),
        "results/paper/index.html",
    ]
    assert len(products) == 2 * 3 + 4 * 2 + 1
    assert experiments_of(paper) == ("micro",)
    assert experiments_of(paper, []) == ()


def test_choosing_items(case: Case) -> None:
    paper, _ = case.load()
    assert choose_items(case.tables, paper, None) == (*paper.items, REPORT)
    assert choose_items(case.tables, paper, ["figures.bars"]) == ("figures.bars",)
    with pytest.raises(UserError, match=r"there is no 'tables.bset'; use one of: tables.best"):
        choose_items(case.tables, paper, ["tables.bset"])


def test_published_values_are_found_by_model_and_metric(case: Case) -> None:
    paper, _ = case.load()
    last = Reference(experiment="micro", run="progressive")
    numbered = Reference(experiment="micro", run="progressive", stage=2)
    assert published_value(paper, "bbox_mAP", last, numbered) == 41.7
    assert published_value(paper, "bbox_mAP", numbered) is None
    assert published_value(paper, "segm_mAP", last) is None


def test_only_what_is_asked_for_is_loaded(case: Case) -> None:
    case.write(("tables.best.rows", rows(experiment="unknown")))
    paper = load_paper(case.tables)
    items = ["tables.bars"]
    assert list(load_experiments(case.tables, paper, case.experiments, items)) == ["micro"]


def test_no_experiment_may_have_the_tables_folder(case: Case) -> None:
    other = case.experiments / "paper.yaml"
    other.write_text((case.experiments / "micro.yaml").read_text())
    case.write(("tables.best.rows", rows(experiment="paper")))
    with pytest.raises(UserError, match=r"paper\.yaml: has the name of a folder"):
        case.load()


def test_the_workflow_imports_nothing_heavy() -> None:
    code = (
        "import sys, mtpd.papers.paper\n"
        "heavy = {'torch', 'mmengine', 'mmdet', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
