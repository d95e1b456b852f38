"""A whole experiment, really run; then what runs again after which change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from mmdet.apis import init_detector
from running import CHOSEN, Project, away

from mtpd.files import read_json

pytestmark = pytest.mark.xdist_group("workflow")


@contextmanager
def changed(project: Project, *changes: tuple[str, Any]) -> Iterator[None]:
    """Change the experiment for a while."""
    project.write(*project.settings, *changes)
    try:
        yield
    finally:
        project.write(*project.settings)


def test_everything_is_there(finished: Project) -> None:
    table = pd.read_csv(finished.results / "tables" / "results.csv")
    assert list(table["run"]) == [
        "student without teacher", "teacher", "teacher", "teacher", "progressive", "direct",
    ]  # fmt: skip
    assert list(table["detectors"][4:]) == ["a → b", "c"]
    assert list(table["epochs"][4:]) == ["1+1+1", "1+1"]
    assert table["AP"].between(0, 1).all()
    assert (table[["parameters (M)", "FLOPs (G)", "latency (ms)"]] > 0).all(axis=None)
    for file in ("tables/results.md", "tables/results.tex", "figures/val_ap.png", "report.html"):
        assert (finished.results / file).stat().st_size > 100


def test_metrics_say_what_they_were_made_with(finished: Project) -> None:
    metrics = read_json(finished.results / "stages" / "fm" / "a+b" / "metrics.json")
    assert metrics["splits"].keys() == {"val", "test"}
    assert metrics["seed"] == 0
    assert metrics["versions"]["torch"] == torch.__version__
    assert metrics["config_hash"]


def test_mmdetection_loads_the_student_of_a_stage(finished: Project) -> None:
    folder = finished.results / "stages" / "fm" / "a+b"
    student = init_detector(str(folder / "config.py"), str(folder / "student.pth"), device="cpu")
    saved = torch.load(folder / "student.pth", weights_only=True)["state_dict"]
    assert saved.keys() == student.state_dict().keys()
    assert all(torch.equal(saved[key], value) for key, value in student.state_dict().items())


def test_the_stage_changed_the_student(finished: Project) -> None:
    def weights(path: str) -> dict[str, torch.Tensor]:
        return torch.load(finished.results / path, weights_only=True)["state_dict"]

    students = [
        weights(path)
        for path in (
            "detectors/student/model.pth",
            "stages/fm/a/student.pth",
            "stages/fm/a+b/student.pth",
        )
    ]
    key = "backbone.conv1.weight"
    assert not torch.equal(students[0][key], students[1][key])
    assert not torch.equal(students[1][key], students[2][key])


def test_a_second_run_does_nothing(finished: Project) -> None:
    assert finished.planned() == []


DELETED = [
    (
        "stages/fm/a/student.pth",
        ["all", "evaluate_stage fm a+b", "report", "results", "stage fm a", "stage fm a+b"],
    ),
    (
        "stages/fm/a+b/student.pth",
        ["all", "evaluate_stage fm a+b", "report", "results", "stage fm a+b"],
    ),
    ("stages/fm/c/metrics.json", ["all", "evaluate_stage fm c", "report", "results"]),
    ("stages/fm/c/detections", ["all", "evaluate_stage fm c", "report", "results"]),
    ("figures/val_ap.png", ["all", "results"]),
    ("report.html", ["all", "report"]),
]


@pytest.mark.parametrize(("deleted", "expected"), DELETED)
def test_what_was_deleted_runs_again_with_what_depends_on_it(
    finished: Project, deleted: str, expected: list[str]
) -> None:
    with away(finished.folder / ".mtpd-store"), away(finished.results / deleted):
        assert finished.planned() == expected


def test_what_is_missing_runs_also_after_what_has_changed(finished: Project) -> None:
    stage = finished.results / "stages" / "fm" / "c"
    with away(stage), changed(finished, ("methods.fm.training", {"epochs": 2})):
        planned = finished.planned("results/micro/stages/fm/c/student.pth")
    assert planned == ["check_pair fm c", "stage fm c"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "methods.fm.training",
            {"epochs": 2},
            ["check_pair fm a", "check_pair fm b", "check_pair fm c", "evaluate_stage fm a+b",
             "evaluate_stage fm c", "report", "results", "stage fm a", "stage fm a+b",
             "stage fm c"],
        ),
        (
            "methods.fm.losses",
            [{"type": "feature_matching", "weight": 0.3}],
            ["check_pair fm a", "check_pair fm b", "check_pair fm c", "evaluate_stage fm a+b",
             "evaluate_stage fm c", "report", "results", "stage fm a", "stage fm a+b",
             "stage fm c"],
        ),
        (
            "teachers.b.training",
            {"epochs": 2},
            ["check b", "check_pair fm b", "evaluate_detector b", "evaluate_stage fm a+b",
             "report", "results", "stage fm a+b", "train b"],
        ),
        ("ordering.points", 9, []),  # no run's order depends on features
        ("description", "other words", []),
        ("resources", {"train": {"mem_mb": 5000}}, []),
    ],
)  # fmt: skip
def test_a_changed_setting_runs_exactly_what_it_affects(
    finished: Project, key: str, value: Any, expected: list[str]
) -> None:
    with changed(finished, (key, value)):
        assert [job for job in finished.planned() if job != "all"] == expected


def test_an_experiment_goes_on_where_runs_are_added(finished: Project) -> None:
    with changed(finished, ("runs", CHOSEN)):
        planned = finished.planned()
    trainings = [job for job in planned if job.startswith(("train", "stage"))]
    assert trainings == ["stage fm b", "stage fm b~1", "stage fm b~2"]
    assert "costs" in planned


def test_the_order_is_decided_and_followed(ordered: Project) -> None:
    finished = ordered
    assert finished.planned() == []
    order = read_json(finished.results / "order.json")
    chosen = order["runs"]["chosen"]
    assert chosen["teachers"]
    assert chosen["teachers"][-1] == max(sorted(order["scores"]), key=order["scores"].get)
    assert set(order["costs"]) == {"student", "a", "b", "c"}
    student = finished.results / "stages" / "fm" / chosen["chain"] / "student.pth"
    assert student.is_file()
    assert order["runs"]["long"]["chain"].endswith("@2")
    assert Path(finished.results / "stages" / "fm" / order["runs"]["long"]["chain"]).is_dir()
    seeds = [order["runs"][f"seeds~{seed}"]["chain"] for seed in range(3)]
    assert seeds == ["b", "b~1", "b~2"]
    weights = [
        torch.load(finished.results / "stages" / "fm" / chain / "student.pth")["state_dict"]
        for chain in seeds
    ]
    table = pd.read_csv(finished.results / "tables" / "results.csv").set_index("run")
    own = table.loc[["seeds~0", "seeds~1", "seeds~2"], "AP"]
    assert table.loc["seeds (n = 3)", "AP"] == pytest.approx(own.mean())
    assert (finished.results / "figures" / "costs.png").stat().st_size > 1000
    assert not torch.equal(*(state["bbox_head.retina_cls.weight"] for state in weights[:2]))


def test_tests_that_share_a_finished_workflow_run_in_one_process(
    request: pytest.FixtureRequest,
) -> None:
    """Otherwise each makes its own, which takes minutes: not every pytest-xdist forms groups."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("not run by `pytest -n 2 --dist loadgroup`")
    assert request.node.nodeid.endswith("@workflow")
