"""Detectors whose config validates an average of the weights, as RTMDet and YOLOX do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from micro import MICRO, SMALL, changed
from mmengine.hooks import EMAHook

from mtpd.chains import Chain
from mtpd.detectors.weights import part_of, read_checkpoint
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.stage import train_stage
from mtpd.steps.train import train_detector

AVERAGED = f"""
_base_ = [{SMALL!r}]
custom_hooks = [dict(type="EMAHook", momentum=0.1, update_buffers=True, priority=49)]
"""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "averaged.py").write_text(AVERAGED)
    path = tmp_path / "micro.yaml"
    settings = changed(
        MICRO,
        ("student.config", str(tmp_path / "averaged.py")),
        ("teachers", {"a": {"config": SMALL}}),
        ("ordering", {}),
        ("runs", {"chain": {"method": "fm", "order": ["a"]}}),
    )
    path.write_text(yaml.safe_dump(settings))
    opened = Context.open(path, tmp_path / "results")
    prepare_data(opened.experiment, opened.layout)
    return opened


def test_what_was_validated_is_written(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the detector alone, and of the student after a stage."""
    validated: dict[str, torch.Tensor] = {}
    trained: dict[str, torch.Tensor] = {}
    swap_back = EMAHook.after_val_epoch

    def look(hook: Any, *arguments: Any, **named: Any) -> None:
        for found in (validated, trained):
            state = hook.src_model.state_dict()
            found.update({key: value.clone() for key, value in state.items()})
            if found is validated:
                swap_back(hook, *arguments, **named)

    monkeypatch.setattr(EMAHook, "after_val_epoch", look)
    train_detector(context, "student")
    written, _ = read_checkpoint(context.layout.detector("student").weights)
    assert all(torch.equal(written[key], value) for key, value in validated.items())
    assert not all(torch.equal(written[key], value) for key, value in trained.items())

    train_detector(context, "a")
    train_stage(context, "fm", Chain.parse("a"))
    written, _ = read_checkpoint(context.layout.stage("fm", "a").weights)
    student = part_of(validated, "student.")
    assert written.keys() == student.keys()
    assert all(torch.equal(written[key], value) for key, value in student.items())
    assert not all(
        torch.equal(written[key], value) for key, value in part_of(trained, "student.").items()
    )
