"""Seconds from a job's start to its first training iteration, on the micro data of this script."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mtpd.files import read_json
from mtpd.layout import Layout

EXPERIMENT = {
    "data": {"source": "shapes", "train": 16, "val": 4, "size": 64},
    "pipeline": {"size": [64, 64]},
    "training": {"epochs": 1, "batch_size": 8, "optimizer": {"type": "AdamW", "lr": 0.001}},
    "student": {"name": "student", "config": "config/detectors/retinanet_r18_w16.py"},
    "teachers": {"teacher": {"config": "config/detectors/retinanet_r34_w32.py"}},
    "methods": {"cwd": {"losses": [{"type": "cwd"}]}},
    "runs": {"direct": {"method": "cwd", "order": ["teacher"]}},
}


def measure() -> list[dict[str, Any]]:
    """One row for a plain training job and one for a stage."""
    with tempfile.TemporaryDirectory() as folder:
        experiment = Path(folder) / "startup.yaml"
        experiment.write_text(yaml.safe_dump(EXPERIMENT))
        layout = Layout(Path(folder) / "results", experiment.stem)

        def step(*arguments: str) -> None:
            command = [sys.executable, "-m", "mtpd.cli", *arguments[0].split(), str(experiment)]
            command += [*arguments[1:], "--results", str(layout.results)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        step("data prepare")
        for name in ("student", "teacher"):
            step("train", "--detector", name)
        step("stage", "--method", "cwd", "--chain", "teacher")
        histories = {
            "train": layout.detector("student").history,
            "stage": layout.stage("cwd", "teacher").history,
        }
        return [
            {"job": job, "seconds_to_first_iteration": read_json(path)["startup_seconds"]}
            for job, path in histories.items()
        ]


if __name__ == "__main__":
    sys.stdout.write(f"{pd.DataFrame(measure()).to_markdown(index=False)}\n")
