"""The lines of docs/own-data.md do what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from folders import roboflow, voc, yolo
from micro import PROJECT

from mtpd.intake.proposal import USUAL_STUDENT, USUAL_TEACHERS
from mtpd.settings.experiment import Detector
from mtpd.zoo.sources import remote_weights

PAGE = (PROJECT / "docs" / "own-data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"## From a ([\w ]+)\n.*?```sh\n(.*?)```", PAGE, re.DOTALL)
TIMEOUT = 1800


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with what the page speaks of."""
    voc(tmp_path / "photos", tmp_path / "photos", 16)
    voc(tmp_path / "new_photos", tmp_path / "unused", 2, seed=50)
    for film in range(8):
        images = tmp_path / "drone" / "images"
        yolo(images, tmp_path / "drone" / "labels", 3, seed=3 * film)
        for i in range(3 * film, 3 * film + 3):
            name = f"film{film}_{i:03d}"
            (images / f"p{i:03d}.jpg").rename(images / f"{name}.jpg")
            labels = tmp_path / "drone" / "labels"
            (labels / f"p{i:03d}.txt").rename(labels / f"{name}.txt")
    (tmp_path / "drone" / "classes.txt").write_text("red\nblue\n")
    roboflow(tmp_path / "Traffic.v3i.coco", (("train", 8), ("valid", 3), ("test", 3)))
    return tmp_path


def run(lines: list[str], folder: Path, options: str = "") -> str:
    """Run shell lines; ``options`` are given to Snakemake too."""
    snakefile = PROJECT / "Snakefile"
    script = (
        f'set -euo pipefail; mtpd() {{ "{sys.executable}" -m mtpd.cli "$@"; }}\n'
        f'snakemake() {{ "{sys.executable}" -m snakemake -s "{snakefile}" "$@" {options}; }}\n'
    )
    done = subprocess.run(
        ["bash", "-c", script + "\n".join(lines)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(("source", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_ten_lines_at_most_lead_to_a_plan(source: str, block: str, here: Path) -> None:
    lines = block.splitlines()
    assert len(lines) <= 10
    place = next(i for i, line in enumerate(lines) if line.startswith("snakemake"))
    assert all(line.startswith(("cat ", "mtpd predict")) for line in lines[place + 1 :])
    said = run(lines[: place + 1], here, "--dry-run")
    # Detectors are planned; stages wait for the order, and count as many as there can be.
    assert re.search(r"^train +[34]$", said, re.MULTILINE)
    assert re.search(r"≤ \d+ of \d+", said)
    assert not (here / "results").exists()


def test_a_plan_for_a_gpu_starts_from_the_zoo(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in the cache can be had, whether there is a network or not."""
    cache = here / "cache"
    cache.mkdir()
    monkeypatch.setenv("MTPD_CACHE", str(cache))
    for config in (USUAL_STUDENT, *USUAL_TEACHERS):
        remote = remote_weights(Detector(config=config, weights="zoo"))
        assert remote is not None
        (cache / remote.file).touch()
    lines = [
        "mtpd init photos --name cells --gpus 1 --yes",
        "snakemake --cores 2 --config experiments=cells",
    ]
    said = run(lines, here, "--dry-run")
    assert re.search(r"^fetch +4$", said, re.MULTILINE)
    assert "start_from: zoo" in (here / "config/experiments/cells.yaml").read_text()


def test_there_is_a_block_for_every_source() -> None:
    assert [name for name, _ in BLOCKS] == ["LabelImg folder", "YOLO folder", "Roboflow export"]


@pytest.mark.slow
@pytest.mark.parametrize(("source", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_the_lines_run_to_their_end(source: str, block: str, here: Path) -> None:
    said = run(block.splitlines(), here)
    assert re.search(r"^\| progressive +\|", said, re.MULTILINE)
    assert len(list((here / "predictions" / "drawn").iterdir())) == 2
