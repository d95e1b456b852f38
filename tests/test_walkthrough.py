"""The walk through the demo: its blocks run in turn, on a small demo of the same names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import PROJECT, changed

import mtpd
from mtpd.data.shapes import SHAPES

PAGE = (PROJECT / "docs" / "walkthrough.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
DEMO = yaml.safe_load((PROJECT / "config" / "experiments" / "demo.yaml").read_text())
SMALL = changed(
    DEMO,
    ("data", {**DEMO["data"], "train": 16, "val": 8, "test": 8}),
    ("training.epochs", 1),
    ("training.batch_size", 8),
    ("methods.cwd.training.epochs", 1),
    ("ordering", {"max_teachers": 2, "images": 8, "points": 8}),
)


def test_every_name_of_the_api_is_shown() -> None:
    shown = "\n".join(BLOCKS)
    missing = [name for name in mtpd.__all__ if f"mtpd.{name}" not in PAGE]
    assert set(missing) <= {"Model", "Order"}  # what functions give
    for block in BLOCKS:
        compile(block, "walkthrough.md", "exec")
    assert "mtpd.Experiment(" in shown


@pytest.mark.slow
def test_the_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    mtpd.Experiment.create("demo", SMALL)
    names: dict[str, Any] = {}
    printed = []
    for block in BLOCKS:
        exec(compile(block, "walkthrough.md", "exec"), names)
        printed.append(capsys.readouterr().out)
    shown = "".join(printed)
    assert printed[0] == "r18_w8 learns from r18_w12, swin_w20, r18_w16, r18_w24\n"
    assert "output: results/demo/detectors/r18_w8/model.pth" in printed[1]
    assert "no-teacher-same-budget" in printed[3]
    assert f"{' → '.join(names['demo'].order('bgs'))}\n- " in shown
    assert names["order"].teachers == names["demo"].order("bgs")
    assert names["minimax"].strategy == "minimax"
    assert names["student"].classes == tuple(SHAPES)
    assert printed[-1] == "config/experiments/mine.yaml is not trained yet\n"
