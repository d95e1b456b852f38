"""The chain on a real Slurm: GPUs of jobs, and whatever can happen to a job on a cluster."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import (
    EPOCHS_OVER_A_MINUTE,
    STAGES,
    START,
    ClusterProject,
    slurm,
    wait_until,
)

from mtpd.files import read_json

pytestmark = pytest.mark.slurm

SKIPPED = 3
RULES_WITH_GPU = ("train", "stage", "evaluate_detector", "evaluate_stage")
AFTER_ORDER = {
    **{f"stage fm {chain}": 1 for chain in STAGES},
    f"evaluate_stage fm {STAGES[-1]}": 1,
    "results": 1,
    "report": 1,
}


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """A Slurm that runs."""
    done = subprocess.run([START], capture_output=True, text=True, timeout=900, check=False)
    if done.returncode == SKIPPED:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def finished(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> ClusterProject:
    """A project whose whole chain has run on the cluster."""
    project = ClusterProject(tmp_path_factory.mktemp("chain"))
    project.write()
    with project.running() as snakemake:
        project.finish(snakemake, 900)
    return project


@pytest.fixture
def project(finished: ClusterProject, tmp_path: Path) -> Iterator[ClusterProject]:
    """A project of which only the stages and what follows is left to do."""
    project = finished.copy_without_stages(tmp_path)
    yield project
    project.cancel_all()


def test_the_chain_ends_complete_and_every_job_ran_once(finished: ClusterProject) -> None:
    finished.check_complete()
    jobs = Counter(finished.submitted().values())
    assert set(jobs.values()) == {1}
    assert set(AFTER_ORDER) < set(jobs)
    assert sorted(task.job for task in finished.tasks()) == sorted(finished.submitted())


def test_a_job_sees_the_gpus_it_asks_for_and_no_two_see_the_same(finished: ClusterProject) -> None:
    rules = {job: name.split()[0] for job, name in finished.submitted().items()}
    tasks = finished.tasks()
    with_gpu = [task for task in tasks if task.devices != "none"]
    assert {rules[task.job] for task in with_gpu} == set(RULES_WITH_GPU)
    assert {task.devices for task in with_gpu} == {"0", "1"}
    at_once = [
        (one, other)
        for one in with_gpu
        for other in with_gpu
        if one.job < other.job and one.begin < other.end and other.begin < one.end
    ]
    assert at_once
    assert all(one.devices != other.devices for one, other in at_once)


def test_a_job_may_be_warned_of_its_time_limit_and_one_requeued(project: ClusterProject) -> None:
    project.write_experiment(("methods.fm.training.epochs", EPOCHS_OVER_A_MINUTE))
    with project.running() as snakemake:
        warned = project.wait_for_training("a")
        slurm("scontrol", "update", f"JobId={warned}", "TimeLimit=1")
        requeued = project.wait_for_training("a+b")
        slurm("scontrol", "requeue", requeued)
        project.finish(snakemake)
    project.check_complete(EPOCHS_OVER_A_MINUTE)
    # Its own number of epochs is checked anew.
    again = {"check_pair fm a": 1, "check_pair fm b": 1, "stage fm a": 2}
    assert Counter(project.submitted().values()) == {**AFTER_ORDER, **again}
    assert [task.job for task in project.tasks()].count(requeued) == 2


def test_a_job_may_be_cancelled_and_one_end_without_controller(project: ClusterProject) -> None:
    try:
        with project.running():
            slurm("scancel", project.wait_for_training("a"))
            job = project.wait_for_training("a+b")
            slurm("scontrol", "shutdown", "slurmctld")
            wait_until(lambda: job in {task.job for task in project.tasks()}, "the stage's end")
    finally:
        subprocess.run([START], check=True, timeout=120)
    # Without accounting, Snakemake loses sight of jobs that it asks for meanwhile: call it again.
    wait_until(lambda: not project.jobs(), "the controller's notice of the stage's end")
    project.unlock()
    with project.running() as snakemake:
        project.finish(snakemake)
    project.check_complete()
    assert Counter(project.submitted().values()) == {**AFTER_ORDER, "stage fm a": 2}


def test_snakemake_may_be_killed_and_its_jobs_end_or_be_cancelled(project: ClusterProject) -> None:
    with project.running():
        project.wait_for_training("a")
    wait_until(lambda: not project.jobs(), "the end of the job that goes on without Snakemake")
    project.unlock()
    with project.running():
        project.wait_for_training("a+b")
    project.cancel_all()
    project.unlock()
    with project.running() as snakemake:
        project.finish(snakemake)
    project.check_complete()
    assert Counter(project.submitted().values()) == {**AFTER_ORDER, "stage fm a+b": 2}


def test_a_training_on_two_gpus_is_one_job_with_a_process_for_each(project: ClusterProject) -> None:
    project.write_experiment(("resources.train.gpus", 2), ("methods.fm.training.epochs", 2))
    stage = (project.stage("a") / "student.pth").relative_to(project.folder)
    with project.running(str(stage)) as snakemake:
        project.finish(snakemake)
    with_gpu = [task.devices for task in project.tasks() if task.devices != "none"]
    assert with_gpu == ["0,1"]
    history = read_json(project.stage("a") / "history.json")
    assert history["images_per_step"] == 2 * 4
    assert len(history["epochs"]) == 2


def test_the_order_is_found_on_the_cluster_and_its_stages_follow(project: ClusterProject) -> None:
    project.write_experiment(
        ("runs", {"chosen": {"method": "fm", "order": "bgs"}}), ("methods.fm.training.epochs", 2)
    )
    with project.running() as snakemake:
        project.finish(snakemake)
    order = read_json(project.results / "order.json")
    chain = order["runs"]["chosen"]["chain"]
    assert (project.stage(chain) / "student.pth").is_file()
    rules = Counter(name.split()[0] for name in project.submitted().values())
    assert rules["order"] == rules["costs"] == 1
    assert rules["features"] == 3
    assert rules["stage"] == len(order["runs"]["chosen"]["teachers"])
