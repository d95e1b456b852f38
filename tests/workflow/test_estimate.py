"""The estimate counts the jobs that Snakemake plans: no other says which there are."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import yaml
from micro import PROJECT, changed
from paper_case import RUNS, TABLES
from running import DECIDED, Project, away

from mtpd.errors import UserError
from mtpd.estimation.estimate import Estimate
from mtpd.estimation.speed import Assumptions, Calibration, Speed
from mtpd.experiment.recipes import Task
from mtpd.layout import Layout
from mtpd.steps.estimate import dry_run, estimate_experiments

pytestmark = pytest.mark.xdist_group("workflow")

UNDECIDED = ("runs", {"chosen": {"method": "fm", "order": "bgs"}})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def said(project: Project, *arguments: str) -> tuple[str, int, int]:
    """What a dry run says of the experiment: ``≤`` or nothing, jobs left, jobs."""
    done = project.snakemake("--dry-run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(rf"^{project.name} +(≤?) ?(\d+) of (\d+)", done.stderr, re.MULTILINE)
    assert found is not None, done.stderr
    return found[1], int(found[2]), int(found[3])


def estimated(project: Project, monkeypatch: pytest.MonkeyPatch) -> Estimate:
    """What the command finds in the project's folder."""
    monkeypatch.chdir(project.folder)
    file = Path("experiments", f"{project.name}.yaml")
    (found,) = estimate_experiments([file], Path("results"), Speed(Calibration()))
    return found


def planned(project: Project, *arguments: str) -> list[str]:
    """Without what only names targets."""
    return [job for job in project.planned(*arguments) if job not in ("all", "paper_tables")]


def test_a_dry_run_counts_what_it_plans(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(("runs", {**DECIDED, "seeds": {"method": "fm", "order": ["b"], "seeds": [1]}}))
    jobs = planned(project)
    assert said(project) == ("", len(jobs), len(jobs))
    found = estimated(project, monkeypatch)
    names = [" ".join((job.rule, *job.task.names)) for job in found.left]
    assert sorted(names) == jobs


def test_what_waits_for_an_order_is_added(project: Project) -> None:
    project.write(UNDECIDED)
    jobs = len(planned(project))
    # Three stages, an evaluation, the table, the figure of the costs and the report.
    assert said(project) == ("≤", jobs + 7, jobs + 7)
    table = "results/micro/tables/results.csv"
    assert said(project, table) == ("≤", len(planned(project, table)) + 4, ANY)
    # Of what is asked for here, nothing waits.
    target = "results/micro/order.json"
    jobs = planned(project, target)
    assert "order" in jobs
    assert said(project, target) == ("", len(jobs), len(jobs))


def test_an_order_keeps_no_other_experiment_back(project: Project) -> None:
    for name in ("first", "micro"):
        Project(project.folder, name=name).write(UNDECIDED)
    Project(project.folder, name="sure").write(("runs", DECIDED))
    jobs = planned(project, "--config", "experiments=first,micro,sure")
    assert (jobs.count("order"), jobs.count("results")) == (2, 1)


def test_stages_that_only_a_paper_evaluates_are_counted(project: Project) -> None:
    project.write(("runs", RUNS))
    # A figure called costs would be an experiment's.
    tables = changed(TABLES, ("figures.costs", ...))
    (project.folder / "paper.yaml").write_text(yaml.safe_dump(tables))
    asked = ("paper_tables", "--config", "paper_tables=paper.yaml")
    jobs = planned(project, *asked)
    # Figures over stages show those that no table of the experiment has.
    assert {"evaluate_stage fm a", "evaluate_stage fm a~1"} <= set(jobs)
    assert not {"evaluate_stage fm a", "evaluate_stage fm a~1"} & set(planned(project))
    own = [job for job in jobs if not job.startswith("paper_")]
    # The run whose order is not known has two stages, each of which is evaluated.
    assert said(project, *asked) == ("≤", len(own) + 4, len(own) + 4)


def test_a_finished_project_has_nothing_left(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = estimated(finished, monkeypatch)
    assert len(found.jobs) > 20
    assert (found.left, found.hours_in_turn, found.hours_at_once, found.n_bytes) == ((), 0, 0, 0)
    assert said(finished) == ("", 0, len(found.jobs))


def test_a_known_order_leaves_nothing_open(ordered: Project) -> None:
    bound, left, _ = said(ordered)
    assert (bound, left) == ("", 0)


def test_what_the_store_gives_back_counts_as_a_start(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with away(finished.results / "stages" / "fm" / "c" / "student.pth"):
        done = finished.snakemake("--dry-run")
        found = estimated(finished, monkeypatch)
        with away(finished.folder / ".mtpd-store"):
            trained = estimated(finished, monkeypatch)
    kept = [job for job in found.left if job.is_kept]
    assert Task("stage", ("fm", "c")) in [job.task for job in kept]
    assert {job.seconds for job in kept} == {Assumptions.load().startup_seconds}
    assert re.search(rf"^{len(kept)} jobs? takes? .* from the store", done.stderr, re.MULTILINE)
    assert trained.hours_in_turn > found.hours_in_turn > 0
    assert not any(job.is_kept for job in trained.jobs)


def test_a_dry_run_that_fails_says_why_and_no_more(project: Project) -> None:
    project.write()
    done = project.snakemake("--dry-run", "results/micro/nothing.json")
    assert done.returncode != 0
    assert "jobs left" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_gives_the_workflows_own_error(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write()
    (project.folder / "config").mkdir()
    shutil.copy(PROJECT / "config" / "config.yaml", project.folder / "config")
    with (project.folder / "config" / "config.yaml").open("a") as file:
        file.write("typo: 1\n")
    command = [sys.executable, "-m", "mtpd.cli", "estimate", "experiments/micro.yaml"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: config/config.yaml: typo: ")


def test_what_snakemake_says_is_one_line(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write()
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "nowhere")
    with pytest.raises(UserError, match=r"snakemake --dry-run: .*nowhere"):
        dry_run(Path("experiments"), ["micro"], Path("results"))


def test_experiments_of_several_folders(tmp_path: Path, write_experiment: Any) -> None:
    one = write_experiment(("runs", DECIDED), name="one")
    (tmp_path / "folder").mkdir()
    two = one.rename(tmp_path / "folder" / "two.yaml")
    one = write_experiment(("runs", {}), name="one")
    found = estimate_experiments([two, one], tmp_path / "results", Speed(Calibration()))
    assert [estimate.name for estimate in found] == ["two", "one"]
    assert len(found[0].jobs) > len(found[1].jobs)
    assert Layout(tmp_path / "results", "one").dataset in {job.product for job in found[1].jobs}
