"""``mtpd distill``: one line from a folder of data to a distilled student."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from micro import PROJECT

from mtpd.data.shapes import generate_shapes

YAML = "config/experiments/shapes.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a data set of its own in it, and nothing else."""
    for split, images in (("train", 16), ("val", 8)):
        generate_shapes(tmp_path / "shapes" / split, split=split, images=images, size=64, seed=0)
    return tmp_path


def distill(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    detectors = ["--student", "r18_w8", "--teachers", "r18_w16,r18_w12"]
    command = [sys.executable, "-m", "mtpd.cli", "distill", "--data", "shapes", *detectors]
    return subprocess.run(
        [*command, "--cores", "2", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )


def test_the_experiment_is_written_once_and_planned(folder: Path) -> None:
    done = distill(folder, "--dry-run")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "output: results/shapes/detectors/retinanet_r18_w8/model.pth" in output
    written = (folder / YAML).read_text()
    assert "mtpd distill --data shapes" in written
    other = distill(folder, "--seed", "1", "--dry-run")
    assert other.returncode == 1
    assert f"error: {YAML}: is there already, with other settings" in other.stderr
    assert (folder / YAML).read_text() == written


@pytest.mark.slow
def test_the_line_runs_to_the_table(folder: Path) -> None:
    done = distill(folder, "--budget", "0.02")
    assert done.returncode == 0, done.stdout + done.stderr
    table = (folder / "results" / "shapes" / "tables" / "results.md").read_text()
    assert "r18_w16" in table
    assert table in done.stdout
    assert "mtpd predict shapes IMAGES" in done.stdout
    written = (folder / YAML).read_text()
    again = distill(folder, "--budget", "0.02")
    assert again.returncode == 0, again.stderr
    assert f"{YAML} is there already, and is gone on with" in again.stdout
    assert (folder / YAML).read_text() == written
