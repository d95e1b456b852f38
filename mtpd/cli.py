"""The ``mtpd`` command."""

from __future__ import annotations

import errno
import os
import sys

import typer

from mtpd.commands.data import data
from mtpd.commands.distill import distill
from mtpd.commands.init import init
from mtpd.commands.models import models
from mtpd.commands.overview import overview
from mtpd.commands.project import project
from mtpd.commands.steps import steps
from mtpd.commands.store import store
from mtpd.commands.weights import weights
from mtpd.commands.zoo import zoo
from mtpd.errors import Interrupted, UserError
from mtpd.launch import say_failed, say_interrupted

app = typer.Typer(
    help="Multi-teacher progressive distillation of object detectors.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(init)
app.add_typer(distill)
app.add_typer(project)
app.add_typer(overview)
app.add_typer(models)
app.add_typer(data, name="data")
app.add_typer(zoo, name="zoo")
app.add_typer(store, name="store")
app.add_typer(weights)
app.add_typer(steps)

DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def main() -> None:
    """Run the command.

    A wrong input is one line on standard error and exit status 1; a job that was told to end and
    can go on later has exit status 75, so that Snakemake tries it again.
    """
    try:
        app()
    except Interrupted as event:
        say_interrupted(event)
        sys.stderr.write(f"interrupted: {event}; run it again to go on from there\n")
        sys.exit(os.EX_TEMPFAIL)
    except UserError as error:
        # Where several processes train together, the one that started them says it, once.
        if not say_failed(error):
            sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        remedy = "make room, or see to the folder's permissions, and run it again"
        sys.stderr.write(f"error: {error.filename or 'disk'}: {error.strerror}; {remedy}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
