"""Running Snakemake on an experiment in a folder of its own, and reading what it would do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import MICRO, PROJECT, changed

from mtpd.forks.ask import ADDRESS
from mtpd.forks.server import start_forks

TIMEOUT = 900

DECIDED = {
    "progressive": {"method": "fm", "order": ["a", "b"]},
    "direct": {"method": "fm", "order": ["c"]},
}
CHOSEN = {
    **DECIDED,
    "chosen": {"method": "fm", "order": "bgs"},
    "long": {"method": "fm", "order": "direct", "budget": "progressive"},
    "seeds": {"method": "fm", "order": ["b"], "seeds": [0, 1, 2]},
}
"""Runs of the micro experiment: those whose teachers are named, and with them others."""


@cache
def forks() -> dict[str, str]:
    """Environment in which jobs are forks of one process, the same for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(PROJECT))
        return {"PYTHONPATH": str(PROJECT), ADDRESS: start_forks()}


@contextmanager
def away(path: Path) -> Iterator[None]:
    """Have a file or folder out of the way for a while."""
    kept = path.with_name("kept")
    path.rename(kept)
    try:
        yield
    finally:
        kept.rename(path)


@dataclass(frozen=True)
class Project:
    """A folder with an experiment, its results, and Snakemake's own records."""

    folder: Path
    name: str = "micro"
    settings: tuple[tuple[str, Any], ...] = ()
    """Changes of the micro experiment that it was run with."""

    @property
    def results(self) -> Path:
        """Folder of the experiment's results."""
        return self.folder / "results" / self.name

    def write(self, *changes: tuple[str, Any], base: dict[str, Any] = MICRO) -> None:
        """Write the experiment's YAML and the workflow's config."""
        experiments = self.folder / "experiments"
        experiments.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(changed(base, *changes), sort_keys=False)
        (experiments / f"{self.name}.yaml").write_text(text)
        config = {"experiments": [self.name], "folder": "experiments", "results": "results"}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake with two cores and jobs that start at once; its output is kept."""
        command = [
            sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"),
            "--directory", str(self.folder), "--configfile", str(self.folder / "config.yaml"),
            "--cores", "2", *arguments,
        ]  # fmt: skip
        return subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            env={**os.environ, **forks()},
            check=False,
        )

    def run(self, *arguments: str) -> str:
        """Run Snakemake; it must succeed. Gives what it has shown."""
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stderr

    def planned(self, *arguments: str) -> list[str]:
        """Jobs of a dry run, sorted, as ``rule`` or ``rule wildcards`` without the experiment."""
        done = self.snakemake("--dry-run", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        jobs = []
        for block in re.split(r"^\[.*\]$", done.stdout + done.stderr, flags=re.MULTILINE):
            rule = re.search(r"^(?:local)?(?:rule|checkpoint) (\w+):", block, re.MULTILINE)
            if rule is None:
                continue
            found = re.search(r"^\s+wildcards: (.*)$", block, re.MULTILINE)
            values = [part.split("=", 1) for part in found[1].split(", ")] if found else []
            kept = [value for key, value in values if key != "experiment"]
            jobs.append(" ".join([rule[1], *kept]))
        return sorted(jobs)
