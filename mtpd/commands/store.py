"""``mtpd store``: finished results, kept under what they were made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mtpd.overview.kept import Kept
    from mtpd.store import Store

store = typer.Typer(help="Finished results, kept for when they are asked for again.")


@store.command("list")
def list_store(
    unused: Annotated[
        bool, typer.Option("--unused", help="Only what no experiment names any more.")
    ] = False,
) -> None:
    """List what is kept, for what, and how big it is."""
    from mtpd.reporting.store import print_kept

    print_kept([one for one in _kept() if not (unused and one.is_needed)])


@store.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what no experiment names any more: results of settings that have changed since.

    It shows them and asks first. Results in an experiment's folder stay.
    """
    from mtpd.reporting.store import print_kept, size, total_bytes

    unused = [one for one in _kept() if not one.is_needed]
    if not unused:
        typer.echo("Everything that is kept is named by an experiment.")
        return
    print_kept(unused)
    if not yes:
        typer.confirm(f"Remove these {len(unused)} results?", abort=True)
    kept = _store()
    for one in unused:
        kept.remove(one.entry)
    typer.echo(f"Removed {len(unused)} results, {size(total_bytes(unused))}.")


def _store() -> Store:
    from mtpd.settings.runtime import workflow_settings
    from mtpd.store import Store

    workflow = workflow_settings()
    return Store(workflow.store_for(workflow.results))


def _kept() -> list[Kept]:
    from mtpd.overview.kept import what_is_kept
    from mtpd.settings.runtime import workflow_settings

    workflow = workflow_settings()
    names = {file.stem for file in workflow.folder.glob("*.yaml")}
    return what_is_kept(_store(), workflow.results, names)
