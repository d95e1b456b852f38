"""The papers' tables and figures from hand-made files: published, measured, difference, missing."""

from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from paper_case import Case, cell
from typer.testing import CliRunner

from mtpd.cli import app
from mtpd.errors import UserError
from mtpd.experiment.runs import order_settings
from mtpd.files import digest_of, write_json
from mtpd.layout import PaperLayout
from mtpd.steps.cost_matrix import write_cost_matrix
from mtpd.steps.paper import write_paper


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def write(case: Case, *items: str) -> list[Path]:
    paper, experiments = case.load()
    return write_paper(paper, experiments, case.results, items or tuple(paper.items))


def lines(case: Case, table: str = "best") -> dict[tuple[int, str], dict[str, Any]]:
    write(case, f"tables.{table}")
    frame = pd.read_csv(PaperLayout(case.results).table(table, "csv"), dtype={"seed": str})
    return {(line["row"], line["column"]): line for line in frame.to_dict("records")}


def markdown(case: Case, table: str = "best") -> str:
    write(case, f"tables.{table}")
    return PaperLayout(case.results).table(table, "md").read_text()


def cells(text: str, row: int) -> list[str]:
    """Cells of a row of a Markdown table, the first row below the headings being 0."""
    body = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [part.strip() for part in body[row].strip("|").split("|")]


def test_published_measured_and_difference(case: Case) -> None:
    case.put_all()
    found = lines(case)
    line = found[1, "distilled"]
    assert line["published"] == 41.7
    assert float(line["measured"]) == 0.412 * 100
    assert line["difference"] == 0.412 * 100 - 41.7
    assert cells(markdown(case), 0) == [
        *("R50", "a -> b"),
        *("36.5", "37.1", "+0.6"),
        "39.2",
        *("41.7[^1]", "41.2", "−0.5"),
    ]
    assert "[^1]: figure: 41.4" in markdown(case)


def test_seeds_are_a_mean_with_the_sample_standard_deviation(case: Case) -> None:
    case.put_all()
    line = lines(case)[2, "distilled"]
    values = [41.0, 42.0, 43.3]
    assert float(line["measured"]) == pytest.approx(statistics.mean(values))
    assert line["standard deviation"] == pytest.approx(statistics.stdev(values))
    assert (line["measured models"], line["models"]) == (3, 3)
    assert cells(markdown(case), 1)[-3:] == ["≈42.0", "42.1 ± 1.2 (n = 3)", "+0.1"]


def test_nothing_is_measured_yet(case: Case) -> None:
    found = lines(case)
    assert {line["measured"] for line in found.values()} == {"missing"}
    assert {line["why missing"] for line in found.values()} == {"not evaluated yet"}
    assert all(pd.isna(line["difference"]) for line in found.values())
    text = markdown(case)
    assert cells(text, 0)[2:] == [
        *("36.5", "missing", "missing"),
        "missing",
        *("41.7[^1]", "missing", "missing"),
    ]
    # what has no place in the paper is not missing
    assert cells(text, 1)[2:6] == ["–"] * 4


def test_some_seeds_are_measured(case: Case) -> None:
    case.put(case.stage("a+c~1"), 0.41)
    line = lines(case)[2, "distilled"]
    assert (line["measured models"], line["models"]) == (1, 3)
    assert line["why missing"] == "not evaluated yet"
    assert cells(markdown(case), 1)[-2] == "41.0 (n = 1 of 3)"
    assert "n = 2 of 3: the other trainings" in markdown(case)


def test_where_a_value_comes_from(case: Case) -> None:
    case.put_all()
    line = lines(case)[1, "distilled"]
    expected = {
        "model": "micro/stages/fm/a+b",
        "epochs": "2+2+2",
        "iterations": 20,
        "images per step": 16,
        "split": "test",
        "seed": "0",
        "settings hash": "settings",
        "weights SHA-256": "hash of a+b",
    }
    assert {key: line[key] for key in expected} == expected


def test_figures_that_are_no_fraction(case: Case) -> None:
    metrics = ("parameters", "flops", "latency_ms", "training_loss")
    row = {"labels": ["x", "y"], "cells": {m: cell(detector="student", metric=m) for m in metrics}}
    row["cells"]["parameters"]["published"] = 37.7
    case.write(("tables.best.rows", [row]))
    case.put(
        case.layout.detector("student"),
        None,
        flops=250_040_000_000,
        flops_image_size=[800, 1333],
        latency_ms=23.44,
        latency_device="V100",
    )
    assert cells(markdown(case), 0)[2:] == ["37.70", "37.74", "+0.04", "250.0", "23.4", "0.500"]
    assert "parameters (M) measured" in markdown(case)
    found = lines(case)
    assert found[1, "flops"]["image size"] == "[800, 1333]"
    assert found[1, "latency_ms"]["device"] == "V100"
    assert found[1, "training_loss"]["split"] == "train"


def test_streaming_accuracy_comes_with_its_latency(case: Case) -> None:
    cells = {m: cell(detector="student", metric=m) for m in ("sAP", "bbox_mAP")}
    case.write(("tables.best.rows", [{"labels": ["x", "y"], "cells": cells}]))
    splits = {"test": {"sAP": 0.2, "bbox_mAP": 0.3}}
    student = case.layout.detector("student")
    case.put(student, None, splits=splits, streaming_latency_ms=33.5)
    found = lines(case)
    assert float(found[1, "sAP"]["measured"]) == 20
    assert found[1, "sAP"]["streaming latency (ms)"] == 33.5
    assert pd.isna(found[1, "bbox_mAP"]["streaming latency (ms)"])


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("bbox_mAP", "the evaluation gives no bbox_mAP"),  # null: nothing to measure
        ("segm_mAP", "the evaluation gives no segm_mAP"),
        ("flops", "the evaluation gives no flops"),
        ("training_loss", "not trained here"),  # fetched weights
    ],
)
def test_what_an_evaluation_does_not_give_is_missing(case: Case, metric: str, reason: str) -> None:
    row = {"labels": ["x", "y"], "cells": {"a": cell(detector="student", metric=metric)}}
    case.write(("tables.best.rows", [row]))
    case.put(case.layout.detector("student"), None, epochs=0)
    assert lines(case)[1, "a"]["why missing"] == reason
    assert cells(markdown(case), 0)[2:] == ["missing"]


def test_an_order_that_is_not_decided(case: Case) -> None:
    row = {"labels": ["x", "y"], "cells": {"two": cell(run="chosen", stage=2)}}
    case.write(("tables.best.rows", [row]))
    assert lines(case)[1, "two"]["why missing"] == "the order of teachers is not decided yet"
    write_json(
        case.layout.order,
        {
            "config_hash": digest_of(order_settings(case.experiment)),
            "runs": {"chosen": {"teachers": ["c"]}},
        },
    )
    assert lines(case)[1, "two"]["why missing"] == "the order that was chosen has fewer stages"


def test_a_note_without_published_value_stands_at_the_measured_one(case: Case) -> None:
    row = {"labels": ["x", "y"], "cells": {"a": cell(detector="student", note="ours")}}
    case.write(("tables.best.rows", [row]))
    assert cells(markdown(case), 0)[2:] == ["missing[^1]"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("metrics", "{"),
        ("metrics", "[]"),
        ("metrics", '{"splits": {}, "reported_split": "val"}'),
        ("metrics", '{"splits": {"val": {"bbox_mAP": "high"}}, "reported_split": "val"}'),
        ("metrics", '{"splits": {"val": {"bbox_mAP": NaN}}, "reported_split": "val"}'),
        ("history", '{"epochs": 3}'),
    ],
)
def test_a_wrong_file_is_one_line(case: Case, file: str, text: str) -> None:
    case.put_all()
    path = getattr(case.layout.detector("student"), file)
    path.write_text(text)
    with pytest.raises(UserError, match=rf"student/{file}\.json: (is not|does not have)") as error:
        write(case)
    assert "\n" not in str(error.value)


def test_everything_is_written_and_the_same_each_time(case: Case) -> None:
    case.put_all()
    first = {path: path.read_bytes() for path in write(case)}
    assert {path.suffix for path in first} == {".csv", ".md", ".tex", ".png", ".pdf"}
    shutil.rmtree(case.results / "paper")
    assert {path: path.read_bytes() for path in write(case)} == first


def test_all_figures_can_be_drawn_before_anything_is_measured(case: Case) -> None:
    for path in write(case):
        assert path.stat().st_size > 100


@pytest.mark.parametrize("decided", [True, False])
def test_the_costs_of_an_experiment(case: Case, tmp_path: Path, decided: bool) -> None:
    case.put_all()
    if decided:
        write_json(
            case.layout.order,
            {
                "config_hash": digest_of(order_settings(case.experiment)),
                "runs": {"chosen": {"teachers": ["c", "b"]}},
            },
        )
    paths = [tmp_path / "costs.png", tmp_path / "costs.pdf"]
    write_cost_matrix(case.experiment, case.layout, ["chosen"], "micro", paths)
    assert all(path.stat().st_size > 1000 for path in paths)


def test_the_commands(case: Case) -> None:
    case.put_all()
    results = ["--results", str(case.results)]
    call = ["paper-tables", "--tables", str(case.tables), *results]
    call += ["--experiments-folder", str(case.experiments)]
    done = CliRunner().invoke(app, [*call, "--item", "tables.best"], catch_exceptions=False)
    layout = PaperLayout(case.results)
    assert done.stdout.split() == [str(layout.table("best", k)) for k in ("csv", "md", "tex")]
    assert not layout.figure("bars", "png").exists()
    with pytest.raises(UserError, match="there is no 'best'"):
        CliRunner().invoke(app, [*call, "--item", "best"], catch_exceptions=False)
    done = CliRunner().invoke(app, [*call, "--item", "report"], catch_exceptions=False)
    assert done.stdout.split() == [str(layout.report)]
    assert not layout.figure("bars", "png").exists()
    file = str(case.experiments / "micro.yaml")
    CliRunner().invoke(app, ["cost-matrix", file, *results], catch_exceptions=False)
    assert case.layout.figure("costs", "pdf").exists()


def test_histories_may_hold_more_than_is_read(case: Case) -> None:
    case.put_all()
    path = case.layout.detector("student").history
    history = json.loads(path.read_text())
    path.write_text(json.dumps({**history, "peak_memory_mib": 931, "identity": "x"}))
    assert lines(case)[1, "without"]["iterations"] == 20
