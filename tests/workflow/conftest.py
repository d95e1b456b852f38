"""Experiments that were run once for all tests of the workflow."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from running import CHOSEN, DECIDED, Project

SHOWN: dict[Path, str] = {}
"""What the first run of a project has shown."""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The micro experiment with teachers given by name, run to its end."""
    project = Project(tmp_path_factory.mktemp("finished"), settings=(("runs", DECIDED),))
    project.write(*project.settings)
    SHOWN[project.folder] = project.run()
    return project


@pytest.fixture(scope="session")
def shown(finished: Project) -> str:
    """What that run has shown, its output being no terminal."""
    return SHOWN[finished.folder]


@pytest.fixture(scope="session")
def ordered(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same with an order that the data has decided, and with several seeds."""
    folder = tmp_path_factory.mktemp("ordered") / "project"
    shutil.copytree(finished.folder, folder)
    project = Project(folder, settings=(("runs", CHOSEN),))
    project.write(*project.settings)
    project.run()
    return project
