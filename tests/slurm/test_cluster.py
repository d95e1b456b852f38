"""The chain on a real Slurm: GPUs of jobs, and whatever can happen to a job on a cluster."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import CHAIN, START, ClusterProject, kill, slurm, wait_until

pytestmark = pytest.mark.slurm

SKIPPED = 3
RULES_WITH_GPU = ("train", "stage", "evaluate_detector", "evaluate_stage")


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """A Slurm that runs."""
    done = subprocess.run([START], capture_output=True, text=True, timeout=900, check=False)
    if done.returncode == SKIPPED:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def finished(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterProject]:
    """A project whose whole chain has run on the cluster."""
    project = ClusterProject(tmp_path_factory.mktemp("chain"))
    project.write()
    snakemake = project.start()
    try:
        project.finish(snakemake, 900)
        yield project
    finally:
        kill(snakemake)
        project.cancel_all()


@pytest.fixture
def project(finished: ClusterProject, tmp_path: Path) -> Iterator[ClusterProject]:
    """A project of which only the stages and what follows is left to do."""
    project = finished.copy_without_stages(tmp_path)
    yield project
    project.cancel_all()


@pytest.fixture
def snakemake(project: ClusterProject) -> Iterator[subprocess.Popen[bytes]]:
    """``snakemake --profile slurm``, begun in the project."""
    process = project.start()
    yield process
    kill(process)


def check_stages_ran(project: ClusterProject, again: int) -> None:
    """The chain is complete, each stage ended well once, and one was submitted ``again`` times."""
    project.check_complete()
    assert Counter(project.finished())["stage"] == len(CHAIN.split("+"))
    jobs = Counter(project.submitted().values())
    assert jobs.pop("stage/micro_fm_a") == 1 + again
    assert set(jobs.values()) == {1}
    assert set(jobs) == {"stage/micro_fm_a+b", "evaluate_stage/micro_fm_a+b", "results/micro"}


def test_the_chain_ends_complete_and_every_job_ran_once(finished: ClusterProject) -> None:
    finished.check_complete()
    jobs = Counter(finished.submitted().values())
    assert set(jobs.values()) == {1}
    assert jobs[f"stage/micro_fm_{CHAIN}"] == 1
    assert sorted(task.job for task in finished.tasks()) == sorted(finished.submitted())


def test_a_job_sees_the_gpus_it_asks_for_and_no_two_see_the_same(finished: ClusterProject) -> None:
    rules = {job: name.split("/")[0] for job, name in finished.submitted().items()}
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


def test_a_job_before_its_time_limit_is_warned_and_submitted_again(
    project: ClusterProject, snakemake: subprocess.Popen[bytes]
) -> None:
    job = project.wait_for_training("a")
    slurm("scontrol", "update", f"JobId={job}", "TimeLimit=1")
    project.finish(snakemake)
    check_stages_ran(project, again=1)


def test_a_cancelled_job_is_submitted_again(
    project: ClusterProject, snakemake: subprocess.Popen[bytes]
) -> None:
    slurm("scancel", project.wait_for_training("a"))
    project.finish(snakemake)
    check_stages_ran(project, again=1)


def test_a_requeued_job_starts_again_under_its_number(
    project: ClusterProject, snakemake: subprocess.Popen[bytes]
) -> None:
    job = project.wait_for_training("a")
    slurm("scontrol", "requeue", job)
    project.finish(snakemake)
    check_stages_ran(project, again=0)
    assert [task.job for task in project.tasks()].count(job) == 2


def test_the_controller_may_be_away_while_a_stage_ends(
    project: ClusterProject, snakemake: subprocess.Popen[bytes]
) -> None:
    job = project.wait_for_training("a")
    slurm("scontrol", "shutdown", "slurmctld")
    try:
        wait_until(lambda: job in {task.job for task in project.tasks()}, "the stage's end")
    finally:
        subprocess.run([START], check=True, timeout=120)
    project.finish(snakemake)
    check_stages_ran(project, again=0)


def test_a_killed_snakemake_is_called_again(
    project: ClusterProject, snakemake: subprocess.Popen[bytes]
) -> None:
    project.wait_for_training("a")
    kill(snakemake)
    project.cancel_all()
    project.unlock()
    project.finish(project.start())
    check_stages_ran(project, again=1)


def test_a_job_of_two_gpus_is_one_process_that_sees_both(project: ClusterProject) -> None:
    arguments = ("--set-resources", "stage:gpu=2", "--until", "stage")
    project.finish(project.start(*arguments))
    assert [task.devices for task in project.tasks()] == ["0,1", "0,1"]
