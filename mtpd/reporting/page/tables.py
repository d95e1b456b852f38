"""The page's tables, from numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mtpd.reporting.page.content import Cell, Column, Model, Role, Table
from mtpd.reporting.table import PERCENT, in_percent

DASH = "–"
SIZES = {
    "small": ("bbox_mAP_s", "area below 32²"),
    "medium": ("bbox_mAP_m", "from 32² to 96²"),
    "large": ("bbox_mAP_l", "above 96²"),
}


@dataclass(frozen=True)
class StageRow:
    """One stage: validation AP in percent of the student before and after it, and the teacher's."""

    run: str
    number: int
    teacher: str | None
    teacher_ap: float | None
    before: float | None
    after: float | None
    epochs: int | None
    role: Role | None = None


def results_table(table: pd.DataFrame, roles: Sequence[Role | None]) -> Table:
    """The experiment's own table; ``roles`` are those of its rows."""
    shown = in_percent(table)
    titles = [str(title) for title in shown]
    columns = tuple(Column(title, _is_number(table, title)) for title in titles)
    rows = [
        tuple(
            _result_cell(title, raw.get(title), values[title], role if not place else None)
            for place, title in enumerate(titles)
        )
        for raw, values, role in zip(
            table.to_dict("records"), shown.to_dict("records"), roles, strict=True
        )
    ]
    return Table("results", columns, tuple(rows))


def _is_number(table: pd.DataFrame, title: str) -> bool:
    return title in PERCENT or title == "epochs" or pd.api.types.is_numeric_dtype(table[title])


def _result_cell(title: str, raw: object, shown: object, role: Role | None) -> Cell:
    text = DASH if shown is None or pd.isna(shown) else str(shown)  # type: ignore[call-overload]
    if title == "epochs":
        parts = text.split("+")
        return Cell(text or DASH, sum(map(int, parts)) if parts[0].isdigit() else None)
    is_number = isinstance(raw, int | float) and not pd.isna(raw)
    if is_number and title not in PERCENT:
        text = f"{raw:g}"
    return Cell(text or DASH, float(raw) if is_number else None, role)  # type: ignore[arg-type]


def stages_table(stages: Sequence[StageRow]) -> Table:
    """A row for each stage of each run."""
    titles = (
        Column("run"),
        Column("stage", True),
        Column("teacher"),
        Column("teacher's AP", True, "on val"),
        Column("before", True, "AP of the student on val"),
        Column("after", True, "AP of the student on val"),
        Column("gain", True),
        Column("epochs", True),
    )
    rows = []
    for one in stages:
        gain = None if one.before is None or one.after is None else one.after - one.before
        # Adding zero takes the sign from what is rounded to nothing.
        sign = "" if gain is None else f"{round(gain, 1) + 0.0:+.1f}".replace("-", "−")
        rows.append(
            (
                Cell(one.run, role=one.role),
                Cell(str(one.number), one.number),
                Cell(one.teacher or "no teacher"),
                _number(one.teacher_ap),
                _number(one.before),
                _number(one.after),
                Cell(sign or DASH, gain),
                Cell(DASH if one.epochs is None else str(one.epochs), one.epochs),
            )
        )
    return Table("stages", titles, tuple(rows))


def class_table(
    models: Sequence[tuple[Model, Mapping[str, float | None]]], objects: Mapping[str, int]
) -> Table:
    """AP of every class, a column for each model.

    Args:
        models: With AP by class, as fractions.
        objects: Number of annotated objects by class.
    """
    columns = (Column("class"), Column("objects", True), *_columns(models))
    rows = [
        (
            Cell(name),
            Cell(f"{number:,}", number),
            *(_bar(own.get(name)) for _, own in models),
        )
        for name, number in objects.items()
    ]
    return Table("classes", columns, tuple(rows))


def size_table(models: Sequence[tuple[Model, Mapping[str, float | None]]]) -> Table:
    """AP by size of objects, a column for each model, of figures as ``metrics.json`` has them."""
    rows = [
        (Cell(size, note=note), *(_bar(own.get(key)) for _, own in models))
        for size, (key, note) in SIZES.items()
    ]
    return Table("sizes", (Column("objects"), *_columns(models)), tuple(rows))


def _columns(models: Sequence[tuple[Model, object]]) -> tuple[Column, ...]:
    return tuple(Column(model.name, True, role=model.role) for model, _ in models)


def _bar(fraction: float | None) -> Cell:
    if fraction is None:
        return Cell(DASH)
    return Cell(f"{100 * fraction:.1f}", fraction, share=fraction)


def _number(value: float | None) -> Cell:
    return Cell(DASH) if value is None else Cell(f"{value:.1f}", value)
