"""Small parts of Markdown pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

WRITTEN = (
    "<!-- Written by `python -m reference` from the code. Change the code, then `make reference`. "
    "-->\n"
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; line breaks and bars inside cells do no harm."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(part) for part in line)} |" for line in lines) + "\n"


def plain(docstring: str | None) -> str:
    """First paragraph of a docstring, as Markdown."""
    first = (docstring or "").strip().split("\n\n")[0]
    return " ".join(first.split()).replace("``", "`")


def anchor(heading: str) -> str:
    """What a link to a heading is called."""
    kept = "".join(c for c in heading.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
