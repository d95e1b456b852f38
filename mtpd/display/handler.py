"""Which display suits a call of Snakemake."""

from __future__ import annotations

import logging
import sys
from typing import Any

from rich.console import Console

from mtpd.display.lines import Lines
from mtpd.display.screen import Screen

WIDTH_OF_FILES = 120


def display_for(settings: Any) -> logging.Handler:
    """The display for Snakemake's output settings.

    Dry runs, and calls that ask for Snakemake's own details, get Snakemake's own output.
    """
    asked = settings.dryrun or settings.verbose or settings.debug_dag or settings.printshellcmds
    quiet = {str(one.name) for one in settings.quiet or ()}
    if asked or "ALL" in quiet:
        return _snakemakes_own(settings)
    console = Console(
        stderr=True,
        highlight=False,
        no_color=settings.nocolor or None,
        width=None if sys.stderr.isatty() else WIDTH_OF_FILES,
    )
    is_quiet = bool({"RULES", "PROGRESS"} & quiet)
    if console.is_terminal and not console.is_dumb_terminal and not is_quiet:
        return Screen(console)
    return Lines(console, quiet=is_quiet)


def _snakemakes_own(settings: Any) -> logging.Handler:
    """As Snakemake makes it where no logger is named."""
    from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter

    handler: logging.Handler = ColorizingTextHandler(
        nocolor=settings.nocolor, stream=sys.stdout if settings.stdout else sys.stderr
    )
    handler.addFilter(
        DefaultFilter(
            settings.quiet,
            settings.debug_dag,
            settings.verbose,
            settings.dryrun,
            settings.printshellcmds,
        )
    )
    handler.setFormatter(DefaultFormatter(settings.quiet, settings.show_failed_logs))
    return handler
