"""The command line of the evidence."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def run(
    experiment: Annotated[str, typer.Argument(help="A name in config/experiments.")],
    seeds: Annotated[str, typer.Option(help="Such as 0-9 or 100,101.")],
    cores: Annotated[int, typer.Option(help="Jobs at a time.")] = 2,
    every_order: Annotated[
        int | None, typer.Option(help="Also every order of at most so many teachers.")
    ] = None,
) -> None:
    """Run an experiment from every seed that has no rows yet."""
    from benchmarks.evidence.runs import run_seed

    for seed in _numbers(seeds):
        new = run_seed(experiment, seed, cores, every_order)
        typer.echo(f"{experiment}, seed {seed}: {'measured' if new else 'was there'}")


@app.command()
def costs(
    experiment: Annotated[str, typer.Argument(help="A name in config/experiments.")],
    seed: Annotated[int, typer.Option(help="Whose baseline stands for the student.")] = 0,
) -> None:
    """Measure how stable costs and orders are."""
    from benchmarks.evidence.stability import measure

    measure(experiment, seed)


@app.command()
def page() -> None:
    """Write docs/evidence.md and its figures from the rows."""
    from benchmarks.evidence.page import write_page

    write_page()


def _numbers(text: str) -> list[int]:
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


if __name__ == "__main__":
    app()
