"""The page of the papers' tables and figures: published, measured, and the difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from mtpd.reporting.page.content import Cell, Column, Table
from mtpd.reporting.page.images import file_uri
from mtpd.reporting.page.tables import DASH
from mtpd.reporting.paper import MeasuredTable, ShownTable

ORIGINS = ("epochs", "images per step", "split", "model", "weights SHA-256")
"""What the page says of where a measured value is from; the CSV files say more."""

DIGEST_DIGITS = 12


@dataclass(frozen=True)
class TableSection:
    """One table of a paper.

    Attributes:
        key: Such as ``mtpd_best``.
        title, source: As in the file of the papers' tables.
        table: With a column for each of published, measured and difference.
        below: What marks mean, and the footnotes.
    """

    key: str
    title: str
    source: str
    table: Table
    below: tuple[str, ...]


@dataclass(frozen=True)
class FigureSection:
    """One figure: its key, its title, and the picture as a data URI; None: it is not there."""

    key: str
    title: str
    uri: str | None


@dataclass(frozen=True)
class PaperReport:
    """All of the page."""

    finding: tuple[str, str]
    overview: Table
    tables: tuple[TableSection, ...]
    figures: tuple[FigureSection, ...]
    origins: Table | None


def paper_report(
    tables: Sequence[MeasuredTable], figures: Mapping[str, tuple[str, Path]]
) -> PaperReport:
    """The page's content.

    Args:
        tables: All tables with what is measured of them.
        figures: Key of every figure → its title and its PNG file.
    """
    origins = tuple(_origins(tables))
    return PaperReport(
        finding=_finding(tables),
        overview=_overview(tables),
        tables=tuple(_section(measured) for measured in tables),
        figures=tuple(
            FigureSection(key, title, file_uri(path) if path.is_file() else None)
            for key, (title, path) in figures.items()
        ),
        origins=Table("origins", _origin_columns(), origins) if origins else None,
    )


def _differences(measured: MeasuredTable) -> Iterator[float | None]:
    """Of every cell with a published value; None where nothing is measured."""
    for row, measurements in zip(measured.table.rows, measured.rows, strict=True):
        for column, cell in row.cells.items():
            if cell.published is not None:
                yield measurements[column].difference(cell.published)


def _finding(tables: Sequence[MeasuredTable]) -> tuple[str, str]:
    """How many published values are measured, and how far both are apart."""
    every = [value for measured in tables for value in _differences(measured)]
    found = [value for value in every if value is not None]
    count = f"{len(found) or 'none'} {'is' if len(found) == 1 else 'are'}"
    first = f"Of {len(every)} published values {count} measured here."
    if not found:
        return first, "The tables say what is missing."
    mean, low, high = (_signed(value) for value in (fmean(found), min(found), max(found)))
    if len(found) == 1:
        return first, f"It differs from the published one by {mean} points."
    return first, (
        f"They differ from the published ones by {mean} points on average, from {low} to {high}."
    )


def _overview(tables: Sequence[MeasuredTable]) -> Table:
    columns = (
        Column("table"),
        Column("published", True, "Values that the paper gives"),
        Column("measured", True, "Of them, those that are measured here"),
        Column("mean difference", True, "Measured less published"),
        Column("why the others are missing"),
    )
    rows = []
    for measured in tables:
        every = list(_differences(measured))
        found = [value for value in every if value is not None]
        mean = fmean(found) if found else None
        rows.append(
            (
                Cell(measured.table.title),
                Cell(str(len(every)), len(every)),
                Cell(str(len(found)), len(found)),
                Cell(DASH if mean is None else _signed(mean), mean),
                Cell(_reasons(measured)),
            )
        )
    return Table("overview", columns, tuple(rows))


def _reasons(measured: MeasuredTable) -> str:
    counts = Counter(
        found.missing for row in measured.rows for found in row.values() if found.missing
    )
    return "; ".join(f"{reason} ({count})" for reason, count in counts.most_common()) or DASH


def _section(measured: MeasuredTable) -> TableSection:
    table, shown = measured.table, ShownTable(measured)
    columns = (
        *(Column(name) for name in table.labels),
        *(Column(f"{shown.heading(name)} {part}", True) for name, part in shown.columns),
    )
    rows = []
    for texts, keys in zip(shown.rows, shown.keys, strict=True):
        cells = [
            Cell(text, key, note="" if note is None else f"note {note}")
            for (text, note), key in zip(texts, keys, strict=True)
        ]
        rows.append(tuple(cells))
    notes = [f"note {number}: {note}" for number, note in enumerate(shown.notes, 1)]
    below = (*shown.legend, *notes)
    return TableSection(
        measured.name, table.title, table.source, Table("paper", columns, tuple(rows)), below
    )


def _origin_columns() -> tuple[Column, ...]:
    return (
        *(Column(title) for title in ("table", "row", "column")),
        Column("measured", True),
        *(Column(title) for title in ORIGINS),
    )


def _origins(tables: Sequence[MeasuredTable]) -> Iterator[tuple[Cell, ...]]:
    """A row for every cell that is measured, and where its value is from."""
    for measured in tables:
        for row, measurements in zip(measured.table.rows, measured.rows, strict=True):
            for column in row.cells:
                found = measurements[column]
                if found.mean is None:
                    continue
                yield (
                    *(Cell(text) for text in (measured.name, ", ".join(row.labels), column)),
                    Cell(f"{found.mean:.1f}", found.mean),
                    *(_origin(key, found.origin.get(key)) for key in ORIGINS),
                )


def _origin(key: str, value: str | None) -> Cell:
    if value is None:
        return Cell(DASH)
    if key == "weights SHA-256":
        digests = "; ".join(digest[:DIGEST_DIGITS] for digest in value.split("; "))
        return Cell(digests, is_hash=True)
    return Cell(value)


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
