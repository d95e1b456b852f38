"""Which jobs the workflow plans, without running any."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from micro import PROJECT
from running import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def stages(jobs: list[str]) -> list[str]:
    return [job.removeprefix("stage fm ") for job in jobs if job.startswith("stage ")]


def test_shared_prefixes_are_trained_once(project: Project) -> None:
    runs = {
        "first": {"method": "fm", "order": ["a", "b"]},
        "second": {"method": "fm", "order": ["a", "c"]},
        "third": {"method": "fm", "order": ["a", "b", "c"]},
    }
    project.write(("runs", runs))
    assert stages(project.planned()) == ["a", "a+b", "a+b+c", "a+c"]


def test_every_detector_is_trained_once(project: Project) -> None:
    project.write(("runs", {"all": {"method": "fm", "order": ["a", "b", "c"]}}))
    jobs = project.planned()
    trained = [job for job in jobs if job.startswith("train ")]
    assert trained == ["train a", "train b", "train c", "train student"]


def test_an_order_that_the_data_decides_is_a_checkpoint(project: Project) -> None:
    project.write(("runs", {"chosen": {"method": "fm", "order": "bgs"}}))
    jobs = project.planned()
    assert "order" in jobs
    assert [job for job in jobs if job.startswith("features ")] == [
        "features a",
        "features b",
        "features c",
        "features student",
    ]
    assert stages(jobs) == []  # nobody knows them yet


def test_scores_alone_need_no_features(project: Project) -> None:
    project.write(("runs", {"strongest": {"method": "fm", "order": "direct"}}))
    jobs = project.planned()
    assert "order" in jobs
    assert not any(job.startswith(("features", "costs")) for job in jobs)


def test_a_budget_is_a_stage_of_its_own(project: Project) -> None:
    runs = {
        "chain": {"method": "fm", "order": ["a", "b"]},
        "long": {"method": "fm", "order": ["b"], "budget": "chain"},
        "alone": {"method": "fm", "order": "none", "budget": "chain"},
    }
    project.write(("runs", runs))
    assert stages(project.planned()) == ["a", "a+b", "b@2", "none@2"]


def test_seeds_are_stages_of_their_own_with_one_baseline_and_the_same_teachers(
    project: Project,
) -> None:
    runs = {
        "chain": {"method": "fm", "order": ["a", "b"], "seeds": [0, 5]},
        "long": {"method": "fm", "order": ["b"], "budget": "chain", "seeds": [5]},
        "short": {"method": "fm", "order": ["a"]},
    }
    project.write(("runs", runs))
    jobs = project.planned()
    assert stages(jobs) == ["a", "a+b", "a+b~5", "a~5", "b@2~5"]
    assert len([job for job in jobs if job.startswith("train ")]) == 4


def test_random_orders_are_known_before_anything_ran(project: Project) -> None:
    run = {"method": "fm", "order": "random", "max_teachers": 2, "seeds": [0, 1, 2, 3]}
    project.write(("runs", {"random": run}))
    ends = [stage for stage in stages(project.planned()) if "+" in stage]
    assert len(ends) == 4
    assert len({stage.partition("~")[0] for stage in ends}) > 1


def test_a_student_that_starts_afresh_needs_no_baseline_for_its_stage(project: Project) -> None:
    project.write(
        ("methods.fm.start", "inherit"),
        ("runs", {"chain": {"method": "fm", "order": ["a", "b"]}}),
    )
    assert "train student" not in project.planned("results/micro/stages/fm/a+b/student.pth")


def test_wrong_experiment_is_one_line_and_starts_nothing(project: Project) -> None:
    project.write(("trainin", {}))
    done = project.snakemake()
    assert done.returncode != 0
    errors = [line for line in (done.stdout + done.stderr).splitlines() if "error" in line.lower()]
    assert len(errors) == 1
    assert "micro.yaml: trainin: unknown key" in errors[0]
    assert not (project.folder / "results").exists()


def test_experiment_name_with_a_slash_is_one_line(project: Project) -> None:
    project.write()
    done = project.snakemake("--config", "experiments=../micro")
    assert done.returncode != 0
    assert "../micro" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_every_rule_has_log_threads_and_resources() -> None:

    for file in sorted((PROJECT / "workflow" / "rules").glob("*.smk")):
        text = file.read_text()
        rules = text.count("\nrule ") + text.count("\ncheckpoint ") + text.startswith("rule ")
        for part in ("\n    log:", "\n    threads:", "\n    resources:"):
            assert text.count(part) == rules, (file.name, part)


def test_taking_weights_over_asks_for_no_gpus(project: Project, tmp_path: Path) -> None:
    weights = tmp_path / "a.pth"
    weights.write_bytes(b"weights")
    resources = {"train": {"gpus": 8, "mem_mb": 64000}, "infer": {"gpus": 1, "mem_mb": 9000}}
    project.write(("teachers.a.weights", str(weights)), ("resources", resources))
    done = project.snakemake("--dry-run")
    assert done.returncode == 0, done.stderr
    blocks = re.split(r"^rule train:", done.stdout + done.stderr, flags=re.MULTILINE)[1:]
    asked = {}
    for block in blocks:
        name = re.search(r"detector=(\w+)", block)
        found = dict(re.findall(r"\b(gpu|mem_mb)=(\d+)", block.split("resources:")[1]))
        assert name is not None
        asked[name[1]] = found
    assert asked["a"] == {"gpu": "0", "mem_mb": "9000"}
    assert asked["student"] == {"gpu": "8", "mem_mb": "64000"}
