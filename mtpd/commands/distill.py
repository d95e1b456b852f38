"""``mtpd distill``: from a folder of data to a distilled student, for those who want no YAML."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

distill = typer.Typer()

OF_TIME = ("epochs", "warmup_iterations", "validate_every")
"""Settings that follow from the budget of time."""


@distill.command("distill")
def distill_command(
    data: Annotated[Path, typer.Option(help="Folder of images and annotations.")],
    student: StudentChoice = None,
    teachers: TeacherChoices = None,
    name: NewName = None,
    size: ImageSize = None,
    budget: Budget = None,
    seed: Seed = 0,
    cores: Annotated[
        int | None, typer.Option(min=1, help="CPU cores that jobs may use together; none: all.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="A Snakemake profile: gpu, slurm, or a folder.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the experiment, and show what would run.")
    ] = False,
    force: Force = False,
) -> None:
    """Distil teachers into a student on your data: look at it, write the experiment, run it.

    As `mtpd init` and `snakemake` one after the other. The same line again goes on where it was.
    """
    from mtpd.layout import Layout
    from mtpd.settings.runtime import workflow_settings
    from mtpd.steps.init import yaml_file
    from mtpd.steps.workflow import Call, run_workflow

    chosen = _written(data.expanduser(), name, student, teachers, size, budget, seed, force)
    run_workflow(Call(yaml_file(chosen), cores=cores, profile=profile, dry_run=dry_run))
    layout = Layout(workflow_settings().results, chosen)
    if not dry_run:
        typer.echo(f"\n{layout.table('md').read_text(encoding='utf-8')}")
        typer.echo(f"Report: {layout.report}. The best student: mtpd predict {chosen} IMAGES")


def _written(
    root: Path,
    name: str | None,
    student: str | None,
    teachers: list[str] | None,
    size: tuple[int, int] | None,
    budget: float | None,
    seed: int,
    force: bool,
) -> str:
    """Name of the experiment, which is written if it is not there as it is wanted.

    Raises:
        UserError: The data is wrong, or there is another experiment of this name.
        typer.Exit: The data has problems, which were printed.
    """
    from mtpd.intake.looking import look_at
    from mtpd.intake.machine import Machine
    from mtpd.reporting import intake
    from mtpd.reporting.data_check import image_progress
    from mtpd.steps import init as steps

    wishes = wishes_of(student, teachers, size, seed)
    chosen = steps.name_for(root, name, force=True)
    machine, console = Machine.here(None), intake.screen()
    with image_progress() as progress:
        seen = look_at(root, steps.lists_folder(chosen), seed=seed, progress=progress)
    intake.print_survey(root, seen.kind, seen.survey, seen.problems, seen.remarks, console)
    if seen.problems:
        raise typer.Exit(1)
    plan = steps.plan(seen, chosen, machine, wishes, budget, shlex.join(["mtpd", *sys.argv[1:]]))
    intake.print_proposal(
        plan.experiment, plan.hours, plan.basis, machine, plan.proposal.remarks, console
    )
    if force or not steps.yaml_file(chosen).exists():
        intake.print_written(steps.write(plan, seen), chosen, machine.cores, 0, console)
    else:
        _check_same(plan, steps.yaml_file(chosen), is_timed=budget is not None)
    return chosen


def _check_same(plan: Plan, path: Path, *, is_timed: bool) -> None:
    """Refuse an experiment that is there and is not what this call asks for.

    Where a budget decides the epochs, they follow from speeds that differ a little each time they
    are measured: those of the experiment hold.

    Raises:
        UserError: It is another one.
    """
    from mtpd.experiment.load import load_experiment

    there, asked = (one.model_dump(mode="json") for one in (load_experiment(path), plan.experiment))
    if is_timed:
        there, asked = _untimed(there), _untimed(asked)
    if there == asked:
        typer.echo(f"{path} is there already, and is gone on with")
        return
    run = f"snakemake --cores all --config experiments={plan.name}"
    remedy = f"`{run}` runs it as it is, --name gives another name, --force replaces it"
    raise UserError(path, "is there already, with other settings than this line gives", remedy)


def _untimed(settings: Any) -> Any:
    """``settings`` without the keys in :data:`OF_TIME`, wherever they stand."""
    if isinstance(settings, dict):
        return {key: _untimed(value) for key, value in settings.items() if key not in OF_TIME}
    return [_untimed(part) for part in settings] if isinstance(settings, list) else settings
