"""What the start of a job does not spend its time on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mmengine.config.config
import pytest
from micro import PROJECT
from mmengine.config import Config

from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.train import train_detector


def test_a_training_never_formats_its_config(
    write_experiment: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """yapf takes a second each time that MMEngine asks for the text, which is six times."""
    context = Context.open(write_experiment(), tmp_path / "results")
    prepare_data(context.experiment, context.layout)
    calls: list[str] = []

    def format_code(text: str, **_: object) -> tuple[str, bool]:
        calls.append(text)
        return text, False

    monkeypatch.setattr(mmengine.config.config, "FormatCode", format_code)
    train_detector(context, "student")
    assert calls == []
    written = context.layout.detector("student").training_config
    assert Config.fromfile(written).train_cfg.max_epochs == 1
    assert max(map(len, written.read_text().splitlines())) < 200


def test_what_a_job_has_imported_is_no_garbage() -> None:
    """MMEngine collects garbage for every data set: most of a second with all modules in it."""
    code = (
        "import gc\n"
        "from mtpd.commands.steps import _with_libraries\n"
        "_with_libraries(None, 1, 'mmdet')\n"
        "print(gc.get_freeze_count() > 10 * len(gc.get_objects()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
