"""Arguments and options that several commands have."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

ExperimentFile = Annotated[Path, typer.Argument(help="YAML file of the experiment.")]
ExperimentFiles = Annotated[list[Path], typer.Argument(help="YAML files of experiments.")]
Results = Annotated[Path, typer.Option(help="Folder of all results.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads that this job may use.")]
DetectorName = Annotated[str, typer.Option("--detector", help="The student or a teacher.")]

DEFAULT_RESULTS = Path("results")


def log_info() -> None:
    """Write what the step tells to the log, not only its warnings."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
