"""A project on a real Slurm of one node: running its chain, watching and disturbing its jobs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from micro import MICRO, PROJECT, changed

START = Path(__file__).parent / "start.sh"
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
LINKS = ("Snakefile", "workflow", "profiles", "slurm")
EPOCHS = 60  # long enough to be disturbed in the middle
EPOCHS_OVER_A_MINUTE = 300  # for Slurm, which looks at time limits twice a minute
ITERATIONS = 2  # of an epoch
STAGES = ("a", "a+b")
RESOURCES = {"threads": 1, "mem_mb": 2000, "runtime": 20}
EXPERIMENT = changed(
    MICRO,
    ("methods.fm.training", {"epochs": EPOCHS}),
    ("resources.train", {**RESOURCES, "gpus": 1}),
    ("resources.infer", {**RESOURCES, "gpus": 1}),
    ("resources.small", RESOURCES),
    ("runs", {"progressive": {"method": "fm", "order": ["a", "b"]}}),
    ("teachers.c", ...),
)


def slurm(*command: str) -> str:
    """Output of a command of Slurm's."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def wait_until(true: Callable[[], Any], what: str, seconds: float = 300) -> Any:
    """What ``true`` gives, as soon as it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := true():
            return value
        time.sleep(0.3)
    raise AssertionError(f"{what}: not in {seconds} seconds")


@dataclass(frozen=True)
class Task:
    """A job's process on the node, as Slurm's prolog and epilog saw it."""

    job: str
    devices: str
    begin: float
    end: float


@dataclass(frozen=True)
class ClusterProject:
    """A folder that looks like the project's root, with the micro experiment."""

    folder: Path

    @property
    def results(self) -> Path:
        """Folder of the experiment's results."""
        return self.folder / "results" / "micro"

    @property
    def output(self) -> Path:
        """What every Snakemake call of this folder has said."""
        return self.folder / "snakemake.txt"

    def write(self) -> None:
        """Write the experiment, and link what else belongs to a project's root."""
        (self.folder / "config" / "experiments").mkdir(parents=True)
        self.write_experiment()
        (self.folder / "config" / "config.yaml").write_text("experiments: [micro]\n")
        for name in LINKS:
            (self.folder / name).symlink_to(PROJECT / name)

    def write_experiment(self, *changes: tuple[str, Any]) -> None:
        """Write the experiment's YAML with ``changes``."""
        text = yaml.safe_dump(changed(EXPERIMENT, *changes), sort_keys=False)
        (self.folder / "config" / "experiments" / "micro.yaml").write_text(text)

    def copy_without_stages(self, folder: Path) -> ClusterProject:
        """A copy in which everything is done up to the first stage."""
        for name in ("config", "results", ".snakemake", *LINKS):
            source = self.folder / name
            if source.is_symlink():
                (folder / name).symlink_to(source.readlink())
            else:
                shutil.copytree(source, folder / name)
        copy = ClusterProject(folder)
        shutil.rmtree(copy.results / "stages")
        return copy

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """``snakemake --profile slurm``, which looks at its jobs more often than usual.

        Killed at the end, where it is still there: it ignores SIGTERM while jobs run.
        """
        command = [
            str(SNAKEMAKE), "--profile", "slurm", "--latency-wait", "10",
            "--slurm-init-seconds-before-status-checks", "2", *arguments,
        ]  # fmt: skip
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "MTPD_TASKS": str(self.folder / "tasks.txt")},
                start_new_session=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def finish(self, snakemake: subprocess.Popen[bytes], seconds: float = 600) -> None:
        """Wait for a Snakemake, which must succeed."""
        try:
            status = snakemake.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"Snakemake hangs\n{self.output.read_text()}") from None
        assert status == 0, self.output.read_text()

    def unlock(self) -> None:
        """Take away the lock that a killed Snakemake has left."""
        with self.running("--unlock") as snakemake:
            self.finish(snakemake)

    def cancel_all(self) -> None:
        """Cancel every job of this folder, and wait until none is left."""
        for job in self.jobs():
            slurm("scancel", job)
        wait_until(lambda: not self.jobs(), "the end of cancelled jobs", 60)

    def jobs(self, comment: str = "") -> list[str]:
        """Slurm's numbers of this folder's unfinished jobs whose comment is so, or of all."""
        lines = slurm("squeue", "--noheader", "--format", "%i|%Z|%k").splitlines()
        rows = [line.split("|") for line in lines]
        return [
            job for job, place, said in rows if place == str(self.folder) and comment in ("", said)
        ]

    def stage(self, chain: str) -> Path:
        """Folder of a stage."""
        return self.results / "stages" / "fm" / chain

    def wait_for_training(self, chain: str, epoch: int = 3) -> str:
        """Slurm's number of the job of a stage, when that has trained some epochs."""
        log = self.stage(chain) / "train.log"

        def trains() -> bool:
            return log.exists() and f"Epoch(train) [{epoch}]" in re.sub(" +", " ", log.read_text())

        wait_until(trains, f"epoch {epoch} of stage {chain}")
        (job,) = self.jobs(f"rule_stage_wildcards_micro_fm_{chain}")
        return job

    def submitted(self) -> dict[str, str]:
        """Of every job that was submitted, by Slurm's number: rule and wildcards."""
        said = re.findall(r"submitted: micro: (.+), as Slurm job (\d+)", self.output.read_text())
        return {number: task for task, number in said}

    def tasks(self) -> list[Task]:
        """Every process that Slurm has begun on the node for this folder."""
        begun: dict[str, tuple[str, float]] = {}
        tasks = []
        for line in (self.folder / "tasks.txt").read_text().splitlines():
            event, job, devices, moment = line.split()
            if event == "begins":
                begun[job] = devices, float(moment)
            else:
                tasks.append(Task(job, *begun.pop(job), float(moment)))
        return tasks

    def epochs_trained(self, chain: str) -> list[int]:
        """Epochs that were brought to their end, in all attempts of a stage together."""
        logs = sorted(self.stage(chain).glob("runs/*/*.log"))
        text = "".join(log.read_text() for log in logs)
        last = rf"Epoch\(train\) +\[ *(\d+)\]\[{ITERATIONS}/{ITERATIONS}\]"
        return [int(epoch) for epoch in re.findall(last, text)]

    def check_complete(self, epochs: int = EPOCHS) -> None:
        """Every stage of the chain was trained once and not more, and the table has its row."""
        whole = list(range(1, epochs + 1))
        for chain in STAGES:
            assert self.epochs_trained(chain) == whole, chain
            history = json.loads((self.stage(chain) / "history.json").read_text())
            assert [row["epoch"] for row in history["epochs"]] == whole
            assert (self.stage(chain) / "student.pth").stat().st_size > 0
        assert "progressive" in (self.results / "tables" / "results.md").read_text()
