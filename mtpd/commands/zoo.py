"""``mtpd zoo``: published weights, and the cache of fetched files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtpd.commands.options import log_info
from mtpd.errors import UserError

Words = Annotated[list[str], typer.Argument(help="All must stand in config or weights.")]
MinBoxAP = Annotated[float | None, typer.Option(help="Least box AP in percent.")]
MinMaskAP = Annotated[float | None, typer.Option(help="Least mask AP in percent.")]

zoo = typer.Typer(help="Published weights: what there is, and the cache.", no_args_is_help=True)


@zoo.command("list")
def list_zoo(
    problems: Annotated[
        bool, typer.Option("--problems", help="What is wrong in MMDetection's metafiles instead.")
    ] = False,
) -> None:
    """List the detectors that MMDetection publishes, best first."""
    from mtpd.reporting.zoo import print_records
    from mtpd.zoo.metafiles import published, search

    metafiles = published()
    if problems:
        for problem in metafiles.problems:
            typer.echo(problem)
        return
    print_records(search(metafiles.records))
    count = len(metafiles.problems)
    typer.echo(f"{count} entries are mended or left out: mtpd zoo list --problems", err=True)


@zoo.command("search")
def search_zoo(words: Words, min_box_ap: MinBoxAP = None, min_mask_ap: MinMaskAP = None) -> None:
    """List the detectors that fit words and figures, best first."""
    from mtpd.reporting.zoo import print_records
    from mtpd.zoo.metafiles import published, search

    found = search(published().records, words, min_box_ap, min_mask_ap)
    if not found:
        raise UserError("mtpd zoo search", "nothing fits", "give fewer words or lower figures")
    print_records(found)


@zoo.command()
def show(config: Annotated[str, typer.Argument(help="Such as mmdet::folder/name.py.")]) -> None:
    """Show what is published of one config, and whether its weights are in the cache."""
    from mtpd.reporting.zoo import print_record
    from mtpd.settings.runtime import workflow_settings
    from mtpd.zoo.metafiles import published

    record = published().records.get(config)
    if record is None:
        remedy = "look for it with `mtpd zoo search`"
        raise UserError(config, "is not in MMDetection's metafiles", remedy)
    print_record(record, workflow_settings().zoo)


@zoo.command("fetch")
def fetch_zoo(
    names: Annotated[
        list[str],
        typer.Argument(help="Experiments (YAML files or names), mmdet:: configs, or addresses."),
    ],
    sha256: Annotated[
        str | None, typer.Option(help="Start of the SHA-256 of the one file that is named.")
    ] = None,
    note: Annotated[
        Path | None, typer.Option(help="Where to write where the one file that is named lies.")
    ] = None,
) -> None:
    """Fetch weights into the cache: where there is a network, for where there is none."""
    log_info()
    from mtpd.steps.fetch import fetch_named

    for path in fetch_named(names, sha256, note):
        typer.echo(path)
