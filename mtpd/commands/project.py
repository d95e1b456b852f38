"""``mtpd new``: a folder of a person's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

project = typer.Typer()


@project.command()
def new(
    folder: Annotated[Path, typer.Argument(help="The project's folder; it may exist already.")],
) -> None:
    """Write a project that runs the installed workflow; overwrites nothing."""
    from mtpd.installation import PROJECT
    from mtpd.steps.new_project import write_project

    made = write_project(folder)
    for path in made.written:
        typer.echo(f"wrote  {folder / path}")
    for path in made.kept:
        typer.echo(f"kept   {folder / path}, which was there already")
    typer.echo(f"\nMore experiments, and the detectors that these name: {PROJECT / 'config'}")
    typer.echo(f"To run the demo: cd {folder} && snakemake --cores 2")
