"""A table of a paper: the published value of every cell, the measured one, and the difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from mtpd.evaluation.metrics import METRICS, Metric
from mtpd.files import whole_file
from mtpd.papers.measured import Measurement
from mtpd.papers.paper import Cell, Table
from mtpd.reporting.latex import escaped

MISSING = "missing"
NOT_PUBLISHED = "–"
PARTS = ("published", "measured", "difference")


@dataclass(frozen=True)
class MeasuredTable:
    """A table, and one measurement for each of its cells.

    Attributes:
        name: Of its files.
        table: As in the file of the papers' tables.
        rows: For every row of the table, by the names of its cells.
    """

    name: str
    table: Table
    rows: tuple[Mapping[str, Measurement], ...]


def write_paper_table(measured: MeasuredTable, csv: Path, markdown: Path, latex: Path) -> None:
    """Write the table as CSV, one line for each cell, and as Markdown and LaTeX for people."""
    with whole_file(csv) as temporary:
        tidy(measured).to_csv(temporary, index=False)
    with whole_file(markdown) as temporary:
        temporary.write_text(markdown_of(measured), encoding="utf-8")
    with whole_file(latex) as temporary:
        temporary.write_text(latex_of(measured), encoding="utf-8")


def tidy(measured: MeasuredTable) -> pd.DataFrame:
    """One line for each cell, numbers unrounded, with all that is known of the measurement."""
    table = measured.table
    lines: list[dict[str, Any]] = []
    origins = dict.fromkeys(
        key for row in measured.rows for measurement in row.values() for key in measurement.origin
    )
    for number, (row, measurements) in enumerate(zip(table.rows, measured.rows, strict=True), 1):
        for column, cell in row.cells.items():
            found = measurements[column]
            lines.append(
                {
                    "table": measured.name,
                    "row": number,
                    **{
                        f"label: {name}": label
                        for name, label in zip(table.labels, row.labels, strict=True)
                    },
                    "column": column,
                    "metric": cell.metric,
                    "unit": METRICS[cell.metric].unit,
                    "published": cell.published,
                    "approximate": cell.approximate,
                    "measured": MISSING if found.mean is None else repr(found.mean),
                    "standard deviation": found.deviation,
                    "values": "; ".join(map(repr, found.values)),
                    "measured models": len(found.values),
                    "models": found.models,
                    "difference": found.difference(cell.published),
                    "why missing": found.missing,
                    "note": cell.note,
                    "experiment": cell.experiment,
                    "detector": cell.detector,
                    "run": cell.run,
                    "stage": cell.stage,
                    **{key: found.origin.get(key) for key in origins},
                }
            )
    frame = pd.DataFrame(lines)
    return frame.astype({"stage": "Int64"})


def markdown_of(measured: MeasuredTable) -> str:
    """The table in GitHub's Markdown, with footnotes."""
    shown = ShownTable(measured)
    headings = [
        *measured.table.labels,
        *(f"{shown.heading(name)} {part}" for name, part in shown.columns),
    ]
    rows = [[_markdown(text, note) for text, note in row] for row in shown.rows]
    labels = len(measured.table.labels)
    grid = pd.DataFrame(
        rows, columns=[_markdown(heading, None) for heading in headings]
    ).to_markdown(
        index=False,
        disable_numparse=True,
        colalign=["left"] * labels + ["right"] * len(shown.columns),
    )
    parts = [f"# {measured.table.title}", measured.table.source, grid]
    parts += ["  \n".join(shown.legend)] if shown.legend else []
    parts += ["\n".join(f"[^{number}]: {note}" for number, note in enumerate(shown.notes, 1))]
    return "\n\n".join(part for part in parts if part) + "\n"


def latex_of(measured: MeasuredTable) -> str:
    """A ``table*`` with a caption and the label ``tab:<name>``; needs booktabs and graphicx."""
    table, shown = measured.table, ShownTable(measured)
    labels = len(table.labels)
    upper, rules, place = [""] * labels, [], labels + 1
    for name, group in groupby(column for column, _ in shown.columns):
        width = len(list(group))
        upper.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(shown.heading(name))}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
        place += width
    lower = [escaped(name) for name in (*table.labels, *(part for _, part in shown.columns))]
    body = [[_latex(text, note) for text, note in row] for row in shown.rows]
    below = [escaped(line) + "." for line in shown.legend]
    below += [rf"\textsuperscript{{{n}}} {escaped(note)}." for n, note in enumerate(shown.notes, 1)]
    caption = escaped(f"{table.title}. {table.source}.")
    return "\n".join(
        [
            r"% \usepackage{booktabs,graphicx}",
            r"\begin{table*}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{measured.name}}}",
            r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{'l' * labels}{'r' * len(shown.columns)}}}",
            r"\toprule",
            " & ".join(upper) + r" \\",
            " ".join(rules),
            " & ".join(lower) + r" \\",
            r"\midrule",
            *(" & ".join(row) + r" \\" for row in body),
            r"\bottomrule",
            r"\end{tabular}}",
            *([r"\par\smallskip\footnotesize " + " ".join(below)] if below else []),
            r"\end{table*}",
            "",
        ]
    )


class ShownTable:
    """A table as people read it: rounded, with marks for what is missing, and footnotes.

    Attributes:
        columns: Name and part of every column behind the labels. A column for which the paper has
            no value at all shows the measured one alone.
        rows: Texts with the number of their footnote, or None.
        keys: For each text, the number that it shows; None: it shows none.
        notes: Footnotes, the first being number 1.
        legend: What the marks mean, as far as they appear.
    """

    def __init__(self, measured: MeasuredTable) -> None:
        table = measured.table
        published = {
            column
            for row in table.rows
            for column, cell in row.cells.items()
            if cell.published is not None
        }
        self.columns = [
            (column, part)
            for column in table.columns
            for part in (PARTS if column in published else PARTS[1:2])
        ]
        self._units = {
            column: {
                METRICS[row.cells[column].metric].unit for row in table.rows if column in row.cells
            }
            for column in table.columns
        }
        cells = [cell for row in table.rows for cell in row.cells.values()]
        self.notes = list(dict.fromkeys(cell.note for cell in cells if cell.note))
        self.rows = [
            [(label, None) for label in row.labels] + list(self._row(row.cells, measurements))
            for row, measurements in zip(table.rows, measured.rows, strict=True)
        ]
        self.keys: list[list[float | None]] = [
            [*(None for _ in row.labels), *self._keys(row.cells, measurements)]
            for row, measurements in zip(table.rows, measured.rows, strict=True)
        ]
        self.legend = list(self._legend())

    def heading(self, column: str) -> str:
        """The column's name, with its unit where that is not percent."""
        unit = " or ".join(sorted(self._units[column] - {"%", ""}))
        return f"{column} ({unit})" if unit else column

    def _row(
        self, cells: Mapping[str, Cell], measurements: Mapping[str, Measurement]
    ) -> Iterator[tuple[str, int | None]]:
        for column, part in self.columns:
            if column not in cells:
                yield NOT_PUBLISHED, None
                continue
            cell, found = cells[column], measurements[column]
            metric = METRICS[cell.metric]
            # A note without a published value is one on the measured value.
            noted = "published" if cell.published is not None else "measured"
            note = self.notes.index(cell.note) + 1 if cell.note and part == noted else None
            if part == "published":
                yield _published(cell, metric), note
            elif part == "measured":
                yield _measured(found, metric), note
            else:
                yield _difference(cell, found, metric), note

    def _keys(
        self, cells: Mapping[str, Cell], measurements: Mapping[str, Measurement]
    ) -> Iterator[float | None]:
        for column, part in self.columns:
            if column not in cells:
                yield None
                continue
            published, found = cells[column].published, measurements[column]
            numbers = {"published": published, "measured": found.mean}
            yield numbers.get(part) if part in numbers else found.difference(published)

    def _legend(self) -> Iterator[str]:
        texts = [text for row in self.rows for text, _ in row]
        if any("%" in units for units in self._units.values()):
            yield "AP and other accuracies in percent"
        if any(part == "difference" for _, part in self.columns):
            yield "difference: measured less published, of accuracies in percentage points"
        if any(MISSING in text for text in texts):
            yield f"{MISSING}: not measured yet"
        if any("±" in text for text in texts):
            yield "±: sample standard deviation over n trainings from different seeds"
        if any(" of " in text and "(n = " in text for text in texts):
            yield "n = 2 of 3: the other trainings are not measured yet"
        if any("≈" in text for text in texts):
            yield "≈: read off a figure, ±0.05"
        if NOT_PUBLISHED in texts:
            yield f"{NOT_PUBLISHED}: no value in the paper"


def _published(cell: Cell, metric: Metric) -> str:
    if cell.published is None:
        return NOT_PUBLISHED
    exponent = Decimal(str(cell.published)).as_tuple().exponent
    assert isinstance(exponent, int)  # it is finite
    return f"{'≈' if cell.approximate else ''}{cell.published:.{max(metric.decimals, -exponent)}f}"


def _measured(found: Measurement, metric: Metric) -> str:
    if found.mean is None:
        return MISSING
    mean = f"{found.mean:.{metric.decimals}f}"
    if found.models == 1:
        return mean
    number = len(found.values)
    count = f"n = {number}" if number == found.models else f"n = {number} of {found.models}"
    if found.deviation is not None:
        mean += f" ± {found.deviation:.{metric.decimals}f}"
    return f"{mean} ({count})"


def _difference(cell: Cell, found: Measurement, metric: Metric) -> str:
    if cell.published is None:
        return NOT_PUBLISHED
    difference = found.difference(cell.published)
    if difference is None:
        return MISSING
    shown = f"{difference:+.{metric.decimals}f}"
    return shown[1:] if float(shown) == 0 else shown.replace("-", "−")


def _markdown(text: str, note: int | None) -> str:
    return text.replace("|", r"\|") + ("" if note is None else f"[^{note}]")


def _latex(text: str, note: int | None) -> str:
    return escaped(text) + ("" if note is None else rf"\textsuperscript{{{note}}}")
