"""Arguments and options that several commands have."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mtpd.intake.proposal import Wishes


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

# Of commands that write an experiment.
NewName = Annotated[str | None, typer.Option(help="Of the experiment; none: made of the folder's.")]
StudentChoice = Annotated[
    str | None,
    typer.Option(help="A detector: as r18_w16 in config/detectors, mmdet::…, or CONFIG."),
]
TeacherChoices = Annotated[
    list[str] | None,
    typer.Option(help="Detectors, parted by commas; also trained ones: CONFIG=WEIGHTS."),
]
ImageSize = Annotated[
    tuple[int, int] | None, typer.Option(help="Longest and shortest side of images.")
]
Budget = Annotated[
    float | None,
    typer.Option(min=0.01, help="Hours that all of it may take here; measures speeds first."),
]
Seed = Annotated[int, typer.Option(min=0, help="Of the split and of the experiment.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an experiment of the same name.")]


def wishes_of(
    student: str | None, teachers: list[str] | None, size: tuple[int, int] | None, seed: int
) -> Wishes:
    """What the options of a new experiment ask for.

    Raises:
        UserError: A detector is not known.
    """
    from mtpd.intake.choice import choose, choose_all
    from mtpd.intake.proposal import Wishes

    return Wishes(
        student=choose("--student", student) if student else None,
        teachers=tuple(choose_all("--teachers", teachers or [])),
        size=size,
        seed=seed,
    )


def log_info() -> None:
    """Write what the step tells to the log, not only its warnings."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")


def log_warnings() -> None:
    """Write warnings of this project to standard error, for commands that people call."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s")
    logging.getLogger("mtpd").setLevel(logging.WARNING)
