"""Running the seeds of an experiment, as far as their rows are missing."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import yaml

from benchmarks.evidence.rows import JOINT, add_costs, add_rows, measured, read_rows, settings_of
from mtpd.experiment.load import load_experiment
from mtpd.files import whole_file
from mtpd.layout import Layout
from mtpd.settings.experiment import Experiment

EXPERIMENTS = Path("config/experiments")
SEEDED = Path("results/evidence/experiments")
RESULTS = Path("results")


def run_seed(name: str, seed: int, cores: int, every_order: int | None = None) -> bool:
    """Run what is missing of one seed and add its rows; returns whether anything was missing.

    Args:
        name: The experiment in ``config/experiments``.
        seed: Of the baseline and of every stage.
        cores: For Snakemake.
        every_order: Add a run for every order of at most so many teachers.
    """
    raw = yaml.safe_load((EXPERIMENTS / f"{name}.yaml").read_text(encoding="utf-8"))
    raw["seed"] = seed
    if every_order is not None:
        add_every_order(raw, every_order)
    seeded = SEEDED / f"{name}-seed{seed}.yaml"
    experiment = _written(seeded, raw)
    missing = _missing(name, experiment)
    if not missing:
        return False
    needed = missing | {raw["runs"][run].get("budget") for run in missing}
    raw["runs"] = {run: value for run, value in raw["runs"].items() if run in needed}
    experiment = _written(seeded, raw)
    layout = Layout(RESULTS, seeded.stem)
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores)]
    config = ["--config", f"experiments={seeded.stem}", f"folder={SEEDED}"]
    subprocess.run([*command, *config, "--", str(layout.table("csv"))], check=True)
    add_rows(name, measured(experiment, layout))
    add_costs(name, experiment, layout)
    return True


def add_every_order(raw: dict[str, Any], most: int) -> None:
    """Add a run for every order of one to ``most`` of the teachers, by the only method."""
    (method,) = raw["methods"]
    for number in range(1, most + 1):
        for order in permutations(raw["teachers"], number):
            raw["runs"][JOINT.join(order)] = {"method": method, "order": list(order)}


def _written(path: Path, raw: dict[str, Any]) -> Experiment:
    with whole_file(path) as temporary:
        temporary.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return load_experiment(path)


def _missing(name: str, experiment: Experiment) -> set[str]:
    """Runs without a row that was measured with the settings at hand."""
    rows = read_rows(name)
    done = {(row.arm, row.settings) for row in rows[rows["seed"] == experiment.seed].itertuples()}
    return {run for run in experiment.runs if (run, settings_of(experiment, run)) not in done}
