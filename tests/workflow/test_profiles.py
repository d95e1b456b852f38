"""The profile for Slurm: what a cluster wants is written once and reaches the right jobs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yte
from micro import PROJECT
from running import Project

PROFILE = PROJECT / "workflow" / "profiles" / "slurm" / "config.yaml"
GPU_RULES = {"train", "stage", "features", "evaluate_detector", "evaluate_stage"}
SIGNAL = "--signal=TERM@120"


def text(**definitions: str | None) -> str:
    """The profile with these definitions in place of its own."""
    written = PROFILE.read_text()
    for name, value in definitions.items():
        written, number = re.subn(
            rf"^(  - {name} = )(None|\"\")", rf"\g<1>{value!r}", written, flags=re.MULTILINE
        )
        assert number == 1, name
    return written


def profile(**definitions: str | None) -> dict[str, Any]:
    found: dict[str, Any] = yte.process_yaml(text(**definitions))
    return found


def test_as_it_comes() -> None:
    found = profile()
    assert found["default-resources"] == {"nodes": 1}
    assert found["set-resources"] == {rule: {"slurm_extra": SIGNAL} for rule in ("train", "stage")}


def test_options_for_all_jobs_are_not_lost_on_trainings() -> None:
    found = profile(extra="--mail-type=FAIL", account="a", partition="p", qos="q", constraint="c")
    assert found["default-resources"] == {
        "nodes": 1, "slurm_account": "a", "slurm_partition": "p", "qos": "q", "constraint": "c",
        "slurm_extra": "--mail-type=FAIL",
    }  # fmt: skip
    for rule in ("train", "stage"):
        assert found["set-resources"][rule] == {"slurm_extra": f"{SIGNAL} --mail-type=FAIL"}


@pytest.mark.parametrize(
    ("definitions", "asked"),
    [
        ({"gpu_model": "a100"}, {"gpu_model": "a100"}),
        ({"gpu_partition": "gpu"}, {"slurm_partition": "gpu"}),
        ({"gres": "gpu:a100:1"}, {"gpu": 0, "gres": "gpu:a100:1"}),
    ],
)
def test_what_is_about_gpus_is_asked_for_by_jobs_that_may_use_them(
    definitions: dict[str, str], asked: dict[str, Any]
) -> None:
    found = profile(**definitions)
    assert found["default-resources"] == {"nodes": 1}
    assert found["set-resources"].keys() == GPU_RULES
    for resources in found["set-resources"].values():
        assert asked.items() <= resources.items()


def test_snakemake_takes_it(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(("resources", {"train": {"gpus": 1}, "infer": {"gpus": 1}}))
    folder = tmp_path / "cluster"
    folder.mkdir()
    (folder / "config.yaml").write_text(text(gpu_model="a100", extra="--mail-type=FAIL"))
    done = project.snakemake("--profile", str(folder), "--dry-run")
    assert done.returncode == 0, done.stderr
    blocks = re.split(
        r"^(?:local)?(?:rule|checkpoint) (\w+):", done.stdout + done.stderr, flags=re.MULTILINE
    )
    asked = dict(zip(blocks[1::2], blocks[2::2], strict=True))
    assert {rule for rule, block in asked.items() if "gpu_model=a100" in block} == GPU_RULES & set(
        asked
    )
    assert f"slurm_extra={SIGNAL} --mail-type=FAIL" in asked["train"]
    assert "slurm_extra=--mail-type=FAIL" in asked["check"]
