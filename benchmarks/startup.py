"""Seconds from a job's start to its first training iteration, on the micro data of this script.

As a process of its own, and as a fork of one that has imported the libraries.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

from mtpd.files import read_json
from mtpd.forks import ask
from mtpd.forks.server import start_forks
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


ASK = (sys.executable, "-I", "-S", ask.__file__)
"""``mtpd`` as a fork."""


def measure(mtpd: Sequence[str], address: str) -> dict[str, float]:
    """The seconds of a plain training job, and of a stage."""
    with tempfile.TemporaryDirectory() as folder:
        experiment = Path(folder) / "startup.yaml"
        experiment.write_text(yaml.safe_dump(EXPERIMENT))
        layout = Layout(Path(folder) / "results", experiment.stem)

        def step(*arguments: str) -> None:
            command = [*mtpd, *arguments[0].split(), str(experiment)]
            command += [*arguments[1:], "--results", str(layout.results)]
            environment = {**os.environ, ask.ADDRESS: address}
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)

        step("data prepare")
        for name in ("student", "teacher"):
            step("train", "--detector", name)
        step("stage", "--method", "cwd", "--chain", "teacher")
        histories = {
            "train": layout.detector("student").history,
            "stage": layout.stage("cwd", "teacher").history,
        }
        return {job: read_json(path)["startup_seconds"] for job, path in histories.items()}


if __name__ == "__main__":
    address = start_forks()
    rows = [
        {"jobs": jobs, **measure(mtpd, address)}
        for jobs, mtpd in (("processes", (sys.executable, "-m", "mtpd.cli")), ("forks", ASK))
    ]
    sys.stdout.write(f"{pd.DataFrame(rows).to_markdown(index=False)}\n")
