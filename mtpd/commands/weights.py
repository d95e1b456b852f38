"""``mtpd weights``: a detector's weights in a file to pass on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

weights = typer.Typer()


@weights.command("weights")
def convert(
    source: Annotated[Path, typer.Argument(help="A checkpoint, such as model.pth.")],
    target: Annotated[Path, typer.Argument(help="The safetensors file to write.")],
    half: Annotated[bool, typer.Option("--half", help="Write 16 bits instead of 32.")] = False,
    sha256: Annotated[
        str | None, typer.Option(help="Of the checkpoint; all of it if it is a full pickle.")
    ] = None,
) -> None:
    """Write a detector's weights as safetensors, which run no code when they are loaded.

    Of a checkpoint of a distiller, such as MGD's, FGD's, PGD's or MMRazor's, its student's.
    """
    from mtpd.detectors.safetensors_weights import write_safetensors
    from mtpd.detectors.weights import read_checkpoint
    from mtpd.files import sha256_of

    source, target = source.expanduser(), target.expanduser()
    state, classes = read_checkpoint(source, sha256)
    write_safetensors(target, state, classes, half)
    typer.echo(f"{target}: {len(state)} tensors, sha256 {sha256_of(target)}")
