"""GPUs that are left to the machine: one if there is any, and the same for all jobs of a run."""

from __future__ import annotations

import pytest

from mtpd.settings import machine
from mtpd.settings.experiment import JobResources, Resources
from mtpd.settings.machine import AUTO_GPUS, gpus_here


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("0", 1), ("0,1,2", 1), ("GPU-abc", 1), ("", 0), ("-1", 0), ("NoDevFiles", 0)],
)
def test_what_cuda_may_see_decides(
    visible: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(AUTO_GPUS, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus_here() == expected
    assert Resources().gpus == expected
    assert Resources(gpus="auto").gpus == expected
    assert Resources(gpus=4).gpus == 4


@pytest.mark.parametrize(("listed", "expected"), [([object()], 1), ([], 0)])
def test_a_gpu_that_does_not_answer_is_none(
    listed: list[object], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(AUTO_GPUS, raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine.Path, "glob", lambda *_: iter(["/dev/nvidia0"]))
    monkeypatch.setattr(machine, "installed_gpus", lambda: listed)
    machine._has_gpu.cache_clear()
    assert gpus_here() == expected
    machine._has_gpu.cache_clear()


def test_jobs_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of a job may have GPUs that the workflow's has not."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv(AUTO_GPUS, "0")
    assert JobResources().train.gpus == 0
