"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os

# Tests run beside each other, one for each core; torch would give each of them all cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import MICRO, changed

import mtpd  # noqa: F401  supplies mmcv._ext before any test imports mmcv
from mtpd.settings.runtime import VARIABLE, workflow_settings


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test reads the settings of the workflow anew."""
    monkeypatch.delenv(VARIABLE, raising=False)
    workflow_settings.cache_clear()
    yield
    workflow_settings.cache_clear()


@pytest.fixture
def write_experiment(tmp_path: Path) -> Callable[..., Path]:
    """Write the micro experiment, with changes at dotted keys, as ``<name>.yaml``."""

    def write(*changes: tuple[str, Any], name: str = "micro") -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(changed(MICRO, *changes)))
        return path

    return write


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Whole results made by hand with their report, a ReportCase; not to be changed."""
    from report_case import ReportCase

    from mtpd.steps.report import write_report

    case = ReportCase(tmp_path_factory.mktemp("reported"))
    case.put_all()
    write_report(case.context)
    return case
