"""What goes wrong around a workflow: nothing is lost, and the user is told in a line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from micro import MICRO, PROJECT, changed
from running import Project

pytestmark = pytest.mark.xdist_group("faults")

CHAIN = ("runs", {"run": {"method": "fm", "order": ["a", "b"]}})
TEACHERS = ("teachers", {name: MICRO["teachers"][name] for name in ("a", "b")})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path)
    found.write(TEACHERS, CHAIN)
    return found


@contextmanager
def running(project: Project, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Snakemake at work in a process group of its own, which is killed at the end."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"),
        "--directory", str(project.folder), "--configfile", str(project.folder / "config.yaml"),
        "--cores", "2", *arguments,
    ]  # fmt: skip
    job = subprocess.Popen(
        command,
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        start_new_session=True,
    )
    try:
        yield job
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()


def wait_for(path: Path, job: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert job.poll() is None, f"Snakemake ended before {path} was there"
        time.sleep(0.05)


def test_a_killed_workflow_goes_on(project: Project) -> None:
    """Snakemake and its jobs are killed in the first stage; the user unlocks and starts again."""
    first = project.results / "stages" / "fm" / "a"
    target = str((first / "student.pth").relative_to(project.folder))
    with running(project, target) as job:
        wait_for(first / "progress.json", job)
    before = {name: weights(project, name) for name in ("student", "a")}
    done = project.snakemake(target)
    assert done.returncode != 0
    assert "--unlock" in done.stdout + done.stderr
    project.run("--unlock")
    project.run(target)
    assert project.planned(target) == []
    assert {name: weights(project, name) for name in ("student", "a")} == before


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="Ctrl-C"),
        pytest.param(signal.SIGHUP, id="terminal", marks=pytest.mark.slow),
    ],
)
def test_a_workflow_that_ends_with_its_terminal_goes_on(
    project: Project, number: signal.Signals
) -> None:
    """The signal goes to all processes: the training saves its state, the folder is unlocked."""
    project.write(TEACHERS, CHAIN, ("training.epochs", 30), ("training.decay_at", ...))
    first = project.results / "detectors" / "student"
    target = str((first / "model.pth").relative_to(project.folder))
    with running(project, target) as job:  # teacher a, its equal, could train in its place
        wait_for(first / "progress.json", job)
        time.sleep(1)
        os.killpg(job.pid, number)
        assert job.wait(60) != 0
    log = (first / "train.log").read_text()
    assert f"interrupted: {number.name} received: the state after iteration " in log
    project.run(target)
    assert "resumed after iteration" in (first / "train.log").read_text()


def weights(project: Project, name: str) -> tuple[int, int]:
    """Which file the weights are, and when they were written: another training makes others."""
    found = (project.results / "detectors" / name / "model.pth").stat()
    return found.st_ino, found.st_mtime_ns


def test_two_workflows_on_one_folder(project: Project) -> None:
    # Long enough for the second one to come while the first is at work.
    project.write(TEACHERS, CHAIN, ("training.epochs", 100), ("training.decay_at", ...))
    with running(project) as job:
        wait_for(project.folder / ".snakemake" / "locks", job)
        wait_for(project.results / "data" / "dataset.json", job)
        done = project.snakemake()
        assert done.returncode != 0
        assert "Directory cannot be locked" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_clock_that_was_set_back(project: Project) -> None:
    """A teacher is from tomorrow: Snakemake refuses what is made of it, but nothing is lost."""
    project.run("--until", "train")
    teacher = project.results / "detectors" / "a" / "model.pth"
    now = teacher.stat().st_mtime
    os.utime(teacher, (now + 24 * 3600,) * 2)
    stage = project.results / "stages" / "fm" / "a"
    done = project.snakemake(str(stage.relative_to(project.folder) / "student.pth"))
    assert done.returncode != 0
    assert "clock skew" in done.stdout + done.stderr
    os.utime(teacher, (now, now))
    project.run()
    assert project.planned() == []
    assert "stage fm a: taken from the store" in (stage / "train.log").read_text()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "read-only"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a read-only file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_results_that_cannot_be_written_are_one_line(read_only: Path, tmp_path: Path) -> None:
    experiment = tmp_path / "micro.yaml"
    experiment.write_text(yaml.safe_dump(MICRO))
    command = [sys.executable, "-m", "mtpd.cli", "data", "prepare", str(experiment)]
    done = subprocess.run(
        [*command, "--results", str(read_only / "results")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if not line.startswith("INFO")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert "Read-only file system; make room, or see to the folder's permissions" in lines[0]


def test_names_and_paths_with_shell_characters_reach_no_shell(tmp_path: Path) -> None:
    folder = tmp_path / "a b; touch hacked $(touch hacked) 'q\" & `touch hacked`"
    folder.mkdir()
    project = Project(folder)
    hostile = "res; touch hacked; $(touch hacked)"
    project.write(TEACHERS, CHAIN, ("description", "$(touch hacked)"))
    config = folder / "config.yaml"
    settings = changed(yaml.safe_load(config.read_text()), ("results", hostile))
    config.write_text(yaml.safe_dump(settings))
    project.run("--until", "check")
    assert (folder / hostile / "micro" / "detectors" / "a" / "check.json").is_file()
    assert not list(tmp_path.rglob("hacked"))
    assert not (PROJECT / "hacked").exists()


def test_what_would_fail_again_is_not_tried_again(project: Project) -> None:
    """A training that diverges: retries and the next run say it at once, until it is mended."""
    diverging = ("student.training", {"optimizer": {"type": "SGD", "lr": 1e30}, "epochs": 60})
    project.write(TEACHERS, CHAIN, diverging)
    folder = project.results / "detectors" / "student"
    target = str((folder / "model.pth").relative_to(project.folder))
    for _ in range(2):
        done = project.snakemake("--retries", "2", "--", target)
        assert done.returncode != 0
    # It was tried three times, and what is to be seen each time is the line, the log and a way out.
    said = [line[9:] for line in done.stderr.splitlines()]
    place = next(at for at, line in enumerate(said) if line.startswith("failed: "))
    assert re.match(r"failed: micro: train student \(after \d+ s\)", said[place])
    assert said[place + 1].startswith("  error: epoch ")
    assert said[place + 2] == f"  log: {folder.relative_to(project.folder) / 'train.log'}"
    assert said[place + 3].startswith("  then: mend that; ")
    assert sum(line.startswith("failed: ") for line in said) == 3
    assert "1 job failed: micro: train student" in said
    first, *later = [folder / f"train.log.{number}" for number in range(1, 7)]
    assert "training has diverged" in first.read_text()
    assert "Epoch(train)" in first.read_text()
    for log in later:
        assert "training has diverged" in log.read_text()
        assert " (as at 20" in log.read_text()
        assert "Epoch(train)" not in log.read_text()
    project.write(TEACHERS, CHAIN)
    project.run("--", target)
    assert "Epoch(train)" in (folder / "train.log").read_text()
    assert len(list(folder.glob("train.log.*"))) == 6
