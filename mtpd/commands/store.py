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
    from mtpd.reporting.store import print_kept, size

    print_kept([one for one in _kept() if not (unused and one.is_needed)])
    interrupted = _store().interrupted()
    if interrupted:
        n_bytes = size(sum(interrupted.values()))
        typer.echo(f"{len(interrupted)} trainings under way or interrupted, {n_bytes} of states")
    maps = _store().maps_bytes()
    if maps:
        typer.echo(f"teachers' maps, {size(maps)}")


@store.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    states: Annotated[
        bool, typer.Option("--states", help="Also the states of interrupted trainings.")
    ] = False,
    maps: Annotated[
        bool, typer.Option("--maps", help="Also teachers' maps; they are computed again if needed.")
    ] = False,
) -> None:
    """Remove what no experiment names any more: results of settings that have changed since.

    It shows them and asks first. Results in an experiment's folder stay.
    """
    from mtpd.reporting.store import print_kept, size, total_bytes

    kept = _store()
    unused = [one for one in _kept() if not one.is_needed]
    interrupted = kept.interrupted() if states else {}
    maps_bytes = kept.maps_bytes() if maps else 0
    if not unused and not interrupted and not maps_bytes:
        typer.echo("Everything that is kept is named by an experiment.")
        return
    print_kept(unused)
    shown = f"{len(unused)} results"
    if interrupted:
        shown += f" and the states of {len(interrupted)} trainings, also of those under way"
    if maps_bytes:
        shown += " and the teachers' maps"
    if not yes:
        typer.confirm(f"Remove {shown}?", abort=True)
    for one in unused:
        kept.remove(one.entry)
    for identity in interrupted:
        kept.forget_states(identity)
    if maps_bytes:
        kept.forget_maps()
    n_bytes = total_bytes(unused) + sum(interrupted.values()) + maps_bytes
    typer.echo(f"Removed {shown}, {size(n_bytes)}.")


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
