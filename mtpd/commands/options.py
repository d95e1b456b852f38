"""Arguments and options that several commands have."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer


def _results() -> Path:
    from mtpd.settings.runtime import workflow_settings

    return workflow_settings().results


ExperimentName = Annotated[str, typer.Argument(help="The experiment: its YAML file, or its name.")]
ExperimentNames = Annotated[list[str], typer.Argument(help="Experiments: YAML files, or names.")]
Results = Annotated[
    Path,
    typer.Option(
        default_factory=_results,
        show_default="as in config/config.yaml",
        help="Folder of all results.",
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads that this job may use.")]
DetectorName = Annotated[str, typer.Option("--detector", help="The student or a teacher.")]


def log_info() -> None:
    """Write what the step tells to the log, not only its warnings."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")


def log_warnings() -> None:
    """Write warnings of this project to standard error, for commands that people call."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s")
    logging.getLogger("mtpd").setLevel(logging.WARNING)
