"""Where Snakemake and its jobs find their settings, whatever folder they are called in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import MICRO, PROJECT, changed

from mtpd.data.shapes import generate_shapes
from mtpd.files import read_json

SMALL = "config/detectors/retinanet_small.py"
CONFIGS = [(f"{key}.config", SMALL) for key in ("student", *(f"teachers.{n}" for n in "abc"))]
ONE_RUN = ("runs", {"direct": {"method": "fm", "order": ["a"]}})


def call(command: list[str], folder: Path, **environment: str) -> str:
    """Output of a command in ``folder``, which must succeed."""
    done = start(command, folder, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def start(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
    )


def snakemake(*arguments: str, snakefile: Path | str = PROJECT / "Snakefile") -> list[str]:
    return ["snakemake", "--snakefile", str(snakefile), "--cores", "2", *arguments]


def write(folder: Path, settings: Any, **experiments: dict[str, Any]) -> None:
    """Write ``config/config.yaml`` and experiments beside it."""
    (folder / "config" / "experiments").mkdir(parents=True)
    text = settings if isinstance(settings, str) else yaml.safe_dump(settings)
    (folder / "config" / "config.yaml").write_text(text)
    for name, experiment in experiments.items():
        path = folder / "config" / "experiments" / f"{name}.yaml"
        path.write_text(yaml.safe_dump(experiment))


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that says what is wrong."""
    assert done.returncode != 0
    lines = (done.stdout + done.stderr).splitlines()
    errors = [line for line in lines if "error" in line.lower()]
    assert len(errors) == 1, done.stdout + done.stderr
    return errors[0]


def test_a_folder_of_its_own_with_everything_else_from_the_checkout(tmp_path: Path) -> None:
    output = call(snakemake("--dry-run", "--directory", str(tmp_path)), PROJECT)
    assert "output: results/demo/detectors/r18_w8/model.pth" in output
    assert "demo        ≤ 37 of 37" in output


def test_a_call_from_a_subfolder(tmp_path: Path) -> None:
    given = ["--config", f"results={tmp_path}"]  # whatever there is in the checkout's own
    command = snakemake("--dry-run", "--directory", "..", *given, snakefile="../Snakefile")
    assert "rule train:" in call(command, PROJECT / "config")


def test_a_job_in_a_folder_of_its_own_finds_configs_of_the_checkout(tmp_path: Path) -> None:
    """The experiment and the results are the folder's, the detectors' configs the checkout's."""
    write(
        tmp_path,
        {"experiments": ["own"], "results": "elsewhere"},
        own=changed(MICRO, ONE_RUN, *CONFIGS),
    )
    call(snakemake("elsewhere/own/detectors/a/check.json"), tmp_path)
    assert read_json(tmp_path / "elsewhere" / "own" / "detectors" / "a" / "check.json")


def test_a_home_folder_and_data_roots_for_snakemake_and_commands(tmp_path: Path) -> None:
    home = tmp_path / "home"
    generate_shapes(home / "data" / "train", split="train", images=2, size=64, seed=0)
    split = {"annotations": "train/annotations.json", "images": "train/images"}
    data = {"source": "coco", "root": "/of/another/machine", "train": split, "val": split}
    folder = tmp_path / "working"
    settings = {
        "experiments": ["2024"],
        "folder": "~/experiments",
        "results": "~/results",
        "data_roots": {"2024": "~/data"},
    }
    write(folder, settings)
    (home / "experiments").mkdir(parents=True)
    text = yaml.safe_dump(changed(MICRO, ("data", data), ONE_RUN))
    (home / "experiments" / "2024.yaml").write_text(text)

    def mtpd(*arguments: str) -> str:
        return call(["mtpd.cli", *arguments], folder, HOME=str(home))

    assert f"{home}/results/2024: 0 of 5 trained" in mtpd("status", "2024")
    assert "nothing is wrong" in mtpd("data", "check", "2024")
    assert "data                  0     1" in mtpd("estimate", "2024")
    arguments = ["--config", "experiments=2024", "--until", "data"]
    call(snakemake(*arguments), folder, HOME=str(home))
    assert (home / "results" / "2024" / "data" / "dataset.json").is_file()
    assert not (folder / "~").exists()
    assert "data                  1     0" in mtpd("estimate", "2024")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("experiments=2024", "2024"),
        ("experiments=[2024]", "2024"),
        ("experiments=[1e3]", "1e3"),
        ("experiments=on", "on"),
        ("experiments=no", "no"),
    ],
)
def test_experiments_whose_names_are_numbers(tmp_path: Path, given: str, name: str) -> None:
    write(tmp_path, {"experiments": ["demo"]}, **{name: changed(MICRO, ONE_RUN)})
    output = call(snakemake("--dry-run", "--config", given), tmp_path)
    assert f"results/{name}/tables/results.csv" in output


@pytest.mark.parametrize(
    ("settings", "given", "words"),
    [
        (
            "- demo",
            [],
            "config/config.yaml: is not a mapping of keys to values; write keys such as",
        ),
        ("experiments: [", [], "config/config.yaml: is not YAML"),
        ("experiments: []", [], "config/config.yaml: experiments: names no experiment"),
        ("experiments: [demo]\nresult: r", [], "config/config.yaml: result: unknown key; the keys"),
        ("experiments: [on]", [], "config/config.yaml: experiments.0: yes, on and true"),
        ("results: r", [], "config/config.yaml: experiments: key is missing; name at least one"),
        ("results: r", ["experiments=1e3"], "experiments: is read as the number 1000.0"),
    ],
)
def test_wrong_settings_are_one_line(
    tmp_path: Path, settings: str, given: list[str], words: str
) -> None:
    write(tmp_path, settings)
    done = start(snakemake("--dry-run", *(["--config", *given] if given else [])), tmp_path)
    assert words in error_of(done)
    assert "Traceback" not in done.stdout + done.stderr
