"""Fixtures that several folders of tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import MICRO, changed

import mtpd  # noqa: F401  supplies mmcv._ext before any test imports mmcv


@pytest.fixture
def write_experiment(tmp_path: Path) -> Callable[..., Path]:
    """Write the micro experiment, with changes at dotted keys, as ``<name>.yaml``."""

    def write(*changes: tuple[str, Any], name: str = "micro") -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(changed(MICRO, *changes)))
        return path

    return write
