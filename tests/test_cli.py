"""The command line: wrong input is one line and exit status 1; help answers at once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import MICRO, PROJECT, changed

from mtpd.data.shapes import generate_shapes


def mtpd(
    *arguments: str, code: str | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(["-c", code] if code else ["-m", "mtpd.cli"]), *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("trainin", {}), "trainin: unknown key"),
        (("teachers.a.weights", "no.pth"), "teachers.a.weights: there is no file 'no.pth'"),
        (("ordering.max_teachers", 9), "ordering.max_teachers"),
    ],
)
@pytest.mark.parametrize("command", [["data", "prepare"], ["order"]], ids=" ".join)
def test_wrong_experiment(
    write_experiment: Any, tmp_path: Path, command: list[str], change: Any, words: str
) -> None:
    done = mtpd(*command, str(write_experiment(change)), "--results", str(tmp_path / "results"))
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert words in lines[0]
    assert not (tmp_path / "results").exists()


def test_what_is_not_found_is_named_in_full(write_experiment: Any, tmp_path: Path) -> None:
    for change, name in (
        (("teachers.a.weights", "no.pth"), "no.pth"),
        (("student.config", "no.py"), "no.py"),
        (("data", {"source": "voc", "root": "nowhere"}), "nowhere"),
    ):
        done = mtpd("data", "prepare", str(write_experiment(change)), folder=tmp_path)
        assert f"'{name}' ({tmp_path / name})" in done.stderr


def test_a_failing_data_step_is_one_line(write_experiment: Any, tmp_path: Path) -> None:
    path = write_experiment(("data", {"source": "voc", "root": str(tmp_path / "nowhere")}))
    done = mtpd("data", "prepare", str(path), "--results", str(tmp_path / "results"))
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_the_check_of_data_says_by_its_status_whether_something_is_wrong(
    write_experiment: Any, tmp_path: Path
) -> None:
    generate_shapes(tmp_path / "train", split="train", images=2, size=64, seed=0)
    split = {"annotations": "train/annotations.json", "images": "train/images"}
    data = {"source": "coco", "root": str(tmp_path), "train": split, "val": split}
    path = str(write_experiment(("data", data)))
    done = mtpd("data", "check", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing is wrong" in done.stdout
    assert "2 pictures of val are in train too" in done.stdout
    assert mtpd("data", "check", path, "--strict").returncode == 1
    (tmp_path / "train/images/000001.jpg").unlink()
    done = mtpd("data", "check", path, "--show", "0", "--report", str(tmp_path / "list.txt"))
    assert (done.returncode, done.stderr) == (1, "")
    assert (tmp_path / "list.txt").read_text().count("000001.jpg does not exist") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--detector", "typo"],
        ["stage", "--method", "typo", "--chain", "a"],
        ["stage", "--method", "fm", "--chain", "typo"],
        ["stage", "--method", "fm", "--chain", "a/b"],
        ["evaluate"],
        ["features", "--detector", "a"],
    ],
)
def test_wrong_arguments_are_one_line(
    write_experiment: Any, tmp_path: Path, arguments: list[str]
) -> None:
    command, *options = arguments
    results = ["--results", str(tmp_path / "results")]
    done = mtpd(command, str(write_experiment()), *options, *results)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["stage", "--help"], ["data", "check", "--help"], ["schema"]]
)
def test_help_and_schema_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from mtpd.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'mmengine', 'mmdet', 'numpy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = mtpd(*arguments, code=code)
    assert done.returncode == 0, done.stderr


def test_a_check_of_no_data_is_one_line() -> None:
    done = mtpd("data", "check")
    assert done.returncode == 1
    assert done.stderr == (
        "error: mtpd data check: names no data set; give experiments, or --coco FOLDER\n"
    )


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A folder whose settings say where experiments, data, results and tables lie."""
    generate_shapes(tmp_path / "data", split="train", images=2, size=64, seed=0)
    split = {"annotations": "annotations.json", "images": "images"}
    data = {"source": "coco", "root": "/of/another/machine", "train": split, "val": split}
    weights = f"a-{hashlib.sha256(b'weights').hexdigest()[:8]}.pth"
    changes = [("data", data), ("teachers.a.weights", f"http://127.0.0.1:1/{weights}")]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "micro.yaml").write_text(yaml.safe_dump(changed(MICRO, *changes)))
    cell = {"experiment": "micro", "detector": "a", "metric": "bbox_mAP"}
    row = {"labels": ["x"], "cells": {"AP": cell}}
    table = {"title": "T", "source": "S", "labels": ["l"], "rows": [row]}
    (tmp_path / "tables.yaml").write_text(yaml.safe_dump({"tables": {"one": table}}))
    settings = {
        "experiments": ["micro"],
        "folder": "mine",
        "results": "elsewhere",
        "data_roots": {"micro": "data"},
        "paper_tables": "tables.yaml",
        "zoo": {"cache": "cache"},
    }
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / weights).write_bytes(b"weights")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "micro"], "elsewhere/micro: 0 of 6 trained"),
        (["status", "mine/micro.yaml", "--results", "r"], "r/micro: 0 of 6 trained"),
        (["estimate", "micro"], "Images: annotations."),
        (["data", "check", "micro"], "nothing is wrong"),
        (["data", "prepare", "micro"], ""),
        (["paper-tables"], "elsewhere/paper/tables/one.md"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else None,
)
def test_commands_follow_the_settings(configured: Path, arguments: list[str], words: str) -> None:
    done = mtpd(*arguments, folder=configured)
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    assert not (configured / "results").exists()
    if arguments == ["data", "prepare", "micro"]:
        assert (configured / "elsewhere" / "micro" / "data" / "dataset.json").is_file()


def test_a_calibration_lies_in_the_settings_results(configured: Path) -> None:
    done = mtpd("calibrate", "micro", "--steps", "1", folder=configured)
    assert done.returncode == 0, done.stderr
    assert (configured / "elsewhere" / "calibration.yaml").is_file()


def test_a_fetch_looks_into_the_settings_cache(configured: Path) -> None:
    done = mtpd("zoo", "fetch", "micro", folder=configured)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == configured / "cache"


def test_a_data_root_on_the_command_line_wins(configured: Path) -> None:
    done = mtpd("data", "check", "micro", "--data-root", "nowhere", folder=configured)
    assert done.returncode == 1
    assert "nowhere: is not a folder" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "micro"],
        ["estimate", "micro"],
        ["calibrate", "micro"],
        ["data", "check", "micro"],
        ["paper-tables"],
        ["zoo", "fetch", "micro"],
        ["order", "micro"],
    ],
    ids=" ".join,
)
def test_wrong_settings_are_one_line(configured: Path, arguments: list[str]) -> None:
    (configured / "config" / "config.yaml").write_text("result: r")
    done = mtpd(*arguments, folder=configured)
    assert done.returncode == 1
    assert done.stderr.startswith("error: config/config.yaml: result: unknown key; the keys are: ")
    assert len(done.stderr.splitlines()) == 1
