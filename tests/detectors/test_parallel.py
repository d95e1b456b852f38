"""Settings of data-parallel training come from the detector's config."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from mtpd.detectors import parallel
from mtpd.launch import LAUNCHED


@pytest.fixture(autouse=True)
def joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a process group had been made."""
    monkeypatch.setenv(LAUNCHED, "1")
    monkeypatch.setattr(parallel.dist, "init_process_group", lambda _: None)
    monkeypatch.setattr(parallel.dist, "destroy_process_group", lambda: None)
    monkeypatch.setattr(parallel.torch.cuda, "is_available", lambda: False)


def wrapper(**keys: object) -> dict[str, object]:
    config = Config(keys)
    with parallel.together(config):
        return dict(config.model_wrapper_cfg)


def test_as_the_config_says() -> None:
    kind = {"type": "MMDistributedDataParallel", "device_ids": None}
    assert wrapper() == {**kind, "find_unused_parameters": False}
    assert wrapper(find_unused_parameters=True) == {**kind, "find_unused_parameters": True}
    own = {"broadcast_buffers": True, "static_graph": True}
    assert wrapper(model_wrapper_cfg=own) == {**kind, "find_unused_parameters": False, **own}
