"""``mtpd init``: from a folder of images and annotations to an experiment that runs."""

from __future__ import annotations

import logging
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mtpd.commands.options import (
    Budget,
    Force,
    ImageSize,
    NewName,
    Seed,
    StudentChoice,
    TeacherChoices,
    wishes_of,
)
from mtpd.errors import UserError

if TYPE_CHECKING:
    from mtpd.steps.init import Plan

init = typer.Typer()


@init.command("init")
def init_experiment(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder of images and annotations, or one file of annotations in it."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The same as FOLDER.")] = None,
    name: NewName = None,
    format_: Annotated[
        Literal["coco", "voc", "yolo"] | None,
        typer.Option("--format", help="Of the annotations, where a folder has several."),
    ] = None,
    student: StudentChoice = None,
    teachers: TeacherChoices = None,
    size: ImageSize = None,
    gpus: Annotated[
        int | None, typer.Option(min=0, help="Of one training; none: 1 if the machine has any.")
    ] = None,
    budget: Budget = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Regular expression: images whose names share what it finds stay together."
        ),
    ] = None,
    seed: Seed = 0,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Take the proposals; ask nothing.")
    ] = False,
    force: Force = False,
) -> None:
    """Look at a folder of images and annotations, and write an experiment for it.

    Reads COCO, Pascal VOC and YOLO as LabelImg, CVAT, Roboflow and Label Studio export them, and
    draws a split where there is none. The data is not changed. Exit status 1: something is wrong
    with it.
    """
    from mtpd.intake.looking import look_at
    from mtpd.intake.machine import Machine
    from mtpd.reporting import intake, questions
    from mtpd.reporting.data_check import image_progress
    from mtpd.steps import init as steps

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("mtpd").setLevel(logging.INFO)
    root = _folder(folder, data)
    wishes = wishes_of(student, teachers, size, seed)
    wanted = steps.name_for(root, name, force=force)
    machine, console = Machine.here(gpus), intake.screen()
    try:
        with image_progress() as progress:
            seen = look_at(root, steps.lists_folder(wanted), format_, group, seed, progress)
    except UserError as error:
        if not error.parts:
            raise
        intake.print_problems(root, error.parts, console)
        raise typer.Exit(1) from error
    intake.print_survey(root, seen.kind, seen.survey, seen.problems, seen.remarks, console)

    def planned() -> Plan:
        made = steps.plan(seen, wanted, machine, wishes, budget, _command())
        remarks = made.proposal.remarks
        intake.print_proposal(made.experiment, made.hours, made.basis, machine, remarks, console)
        return made

    chosen = planned()
    if not yes and sys.stdin.isatty() and sys.stdout.isatty():
        asked = questions.ask(wanted, chosen.experiment, console)
        wanted = steps.name_for(root, asked.name, force=force)
        changed = asked.changes(wishes)
        if (changed, asked.hours, wanted) != (wishes, None, chosen.name):
            wishes, budget = changed, asked.hours or budget
            chosen = planned()
        if not questions.confirm(steps.yaml_file(wanted), console):
            raise typer.Exit(1)
    written = steps.write(chosen, seen)
    intake.print_written(written, chosen.name, machine.cores, len(seen.problems), console)
    if seen.problems:
        raise typer.Exit(1)


def _folder(folder: Path | None, data: Path | None) -> Path:
    """The one of both that is given.

    Raises:
        UserError: None is, or both are.
    """
    given = [path for path in (folder, data) if path is not None]
    if len(given) != 1:
        problem = "names no folder" if not given else "has FOLDER and --data"
        raise UserError("mtpd init", problem, "give one folder of images and annotations")
    return given[0].expanduser()


def _command() -> str:
    """What was typed, for the head of the YAML."""
    return shlex.join(["mtpd", *sys.argv[1:]])
