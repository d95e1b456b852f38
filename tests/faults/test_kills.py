"""Jobs killed at random moments and started again give what they give uninterrupted, bit by bit."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from micro import MICRO, PROJECT, changed

from mtpd.files import read_json

GFL = str(PROJECT / "config" / "detectors" / "gfl_small.py")
SETTINGS = changed(
    MICRO,
    ("data.train", 40),
    ("training.epochs", 3),
    ("training.warmup_iterations", 5),
    ("student.config", GFL),
    ("teachers", {"a": {"config": GFL}}),
    # Both draw random numbers in every step: masks, and the backbone of the start.
    ("methods", {"m": {"losses": [{"type": "mgd"}, {"type": "pgd"}], "start": "inherit"}}),
    ("runs", {"run": {"method": "m", "order": ["a"]}}),
    ("saving", {"iterations": 3}),
)
STAGE = ("stage", "--method", "m", "--chain", "a")
LONGEST = 300


@dataclass(frozen=True)
class Jobs:
    """A folder of results in which jobs run, and are killed."""

    folder: Path

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command, *options = arguments
        experiment = str(self.folder / "micro.yaml")
        with (self.folder / "jobs.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "mtpd.cli", *command.split(), experiment, *options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
            )

    def run(self, *arguments: str) -> None:
        assert self.start(*arguments).wait(LONGEST) == 0, self.log()

    def killed(self, chance: random.Random, kills: int, *arguments: str) -> Counter[str]:
        """Run a job to its end, killing it so many times before; how it ended, by kind."""
        ends: Counter[str] = Counter()
        while True:
            job = self.start(*arguments)
            # A job takes longer here than the longest wait, most of it before the first step.
            wait = chance.uniform(1, 9) if ends.total() < kills else LONGEST
            try:
                assert job.wait(wait) == 0, self.log()
            except subprocess.TimeoutExpired:
                ask = chance.random() < 0.3
                job.send_signal(signal.SIGTERM if ask else signal.SIGKILL)
                ends["saved" if job.wait(LONGEST) == os.EX_TEMPFAIL else "killed"] += 1
            else:
                return ends

    def log(self) -> str:
        return (self.folder / "jobs.log").read_text(errors="replace")

    @property
    def states(self) -> list[Path]:
        """States of trainings that are under way, oldest first."""
        found = (self.folder / ".mtpd-store" / "states").glob("*/[0-9]*.pth")
        return sorted(found, key=lambda path: path.name)

    @property
    def stage(self) -> Path:
        return self.folder / "results" / "micro" / "stages" / "m" / "a"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """Jobs that ran through without interruption."""
    jobs = Jobs(tmp_path_factory.mktemp("clean"))
    (jobs.folder / "micro.yaml").write_text(yaml.safe_dump(SETTINGS))
    jobs.run("data prepare")
    jobs.run("train", "--detector", "student")
    jobs.run("train", "--detector", "a")
    jobs.run(*STAGE)
    return jobs


def copy_of(clean: Jobs, folder: Path, *without: str) -> Jobs:
    """The same jobs before some of them ran, and without the store, which has their results."""
    ignored = shutil.ignore_patterns(".mtpd-store")
    shutil.copytree(clean.folder, folder, dirs_exist_ok=True, ignore=ignored)
    (folder / "jobs.log").unlink()
    for part in without:
        path = folder / "results" / "micro" / part
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Jobs(folder)


def compare(one: Jobs, other: Jobs) -> None:
    """The students' weights, and what training and validation measured in every epoch."""
    first, second = (
        torch.load(jobs.stage / "student.pth", weights_only=True)["state_dict"]
        for jobs in (one, other)
    )
    assert first.keys() == second.keys()
    unlike = [name for name in first if not torch.equal(first[name], second[name])]
    assert unlike == []
    histories: list[list[Any]] = [
        [
            [epoch[key] for key in ("iterations", "train", "val", "last_learning_rate")]
            for epoch in read_json(jobs.stage / "history.json")["epochs"]
        ]
        for jobs in (one, other)
    ]
    assert histories[0] == histories[1]


@pytest.mark.slow
@pytest.mark.xdist_group("kills")
def test_a_stage_killed_three_times(clean: Jobs, tmp_path: Path) -> None:
    jobs = copy_of(clean, tmp_path, "stages")
    ends = jobs.killed(random.Random(4), 3, *STAGE)
    assert ends.total() >= 1
    compare(clean, jobs)


@pytest.mark.slow
@pytest.mark.xdist_group("kills")
def test_a_signal_saves_at_the_next_iteration(clean: Jobs, tmp_path: Path) -> None:
    jobs = copy_of(clean, tmp_path, "stages")
    job = jobs.start(*STAGE)
    while not jobs.states:
        assert job.poll() is None, jobs.log()
        time.sleep(0.01)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(LONGEST) == os.EX_TEMPFAIL
    line = jobs.log().strip().splitlines()[-1]
    assert line.startswith("interrupted: SIGUSR1 received: the state after iteration ")
    iteration = int(line.split("iteration ")[1].split()[0])
    assert jobs.states[-1].name == f"{iteration:09d}.pth"
    assert not (jobs.stage / "student.pth").exists()
    jobs.run(*STAGE)
    assert f"resumed after iteration {iteration}, in epoch" in jobs.log()
    compare(clean, jobs)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(20))
def test_a_stage_killed_many_times(clean: Jobs, tmp_path: Path, seed: int) -> None:
    jobs = copy_of(clean, tmp_path, "stages")
    jobs.killed(random.Random(seed), 8, *STAGE)
    compare(clean, jobs)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(5))
def test_damage_between_kills(clean: Jobs, tmp_path: Path, seed: int) -> None:
    """The newest state is cut short after each kill."""
    chance = random.Random(seed)
    jobs = copy_of(clean, tmp_path, "stages")
    for _ in range(4):
        job = jobs.start(*STAGE)
        try:
            job.wait(chance.uniform(5, 9))
        except subprocess.TimeoutExpired:
            job.kill()
        job.wait()
        for state in jobs.states[-1:]:
            os.truncate(state, chance.randrange(state.stat().st_size))
    jobs.run(*STAGE)
    compare(clean, jobs)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(5))
def test_feature_caches_and_order(clean: Jobs, tmp_path: Path, seed: int) -> None:
    """Killed at random moments, they are the same to the last byte."""
    steps = [("features", "--detector", name) for name in ("student", "a")] + [("costs",)]
    whole, cut = copy_of(clean, tmp_path / "whole"), copy_of(clean, tmp_path / "cut")
    chance = random.Random(seed)
    for step in steps:
        whole.run(*step)
        cut.killed(chance, 4, *step)
    made = [
        "costs.json",
        "detectors/student/features.safetensors",
        "detectors/a/features.safetensors",
    ]
    for name in made:
        files = [jobs.folder / "results" / "micro" / name for jobs in (whole, cut)]
        assert files[0].read_bytes() == files[1].read_bytes(), name
