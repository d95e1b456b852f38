"""Writing the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from mtpd.evaluation.errors import KINDS
from mtpd.files import whole_file
from mtpd.reporting.page.charts import CLASSES_SHOWN, draw_lines, draw_precision
from mtpd.reporting.page.content import Cell, Column, ErrorsOfModel, FeatureMaps, Report, Table
from mtpd.reporting.page.images import map_uri
from mtpd.reporting.page.papers import PaperReport

_FOLDER = Path(__file__).parent

ERROR_NOTES = {
    "localisation": "right class, overlap from 0.1 to 0.5",
    "classification": "right place, another class",
    "both": "wrong class, overlap from 0.1 to 0.5",
    "duplicate": "the object was found already",
    "background": "there is no object",
    "missed": "nothing was found there",
}


def write_page(report: Report | PaperReport, path: Path) -> None:
    """Write the whole page to ``path``."""
    page = page_of(report) if isinstance(report, Report) else page_of_papers(report)
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def page_of(report: Report) -> str:
    """The page as HTML: the same for the same content."""
    precision = report.precision
    return _rendered(
        "report.html.j2",
        report=report,
        curves=_chart(draw_lines, report.curves, "epochs of distillation", "validation AP, %"),
        precision=_chart(draw_precision, precision),
        classes_left_out=max(0, len(precision[0][1].classes) - CLASSES_SHOWN) if precision else 0,
        errors=errors_table(report.errors) if report.errors else None,
        maps=_maps(report.maps) if report.maps else None,
    )


def page_of_papers(report: PaperReport) -> str:
    """The page of the papers' tables as HTML."""
    return _rendered("papers.html.j2", report=report)


def _rendered(template: str, **content: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(
        style=Markup((_FOLDER / "report.css").read_text(encoding="utf-8")),
        script=Markup((_FOLDER / "report.js").read_text(encoding="utf-8")),
        **content,
    )


def errors_table(found: tuple[ErrorsOfModel, ...]) -> Table:
    """Rows are the kinds, columns the models; a cell says what the kind costs, and how many."""
    columns = [
        Column("error"),
        *(Column(one.model.name, True, role=one.model.role) for one in found),
    ]
    highest = max((cost for one in found for cost in one.errors.costs.values()), default=0) or 1
    rows = []
    for kind in KINDS:
        row = [Cell(kind, note=ERROR_NOTES[kind])]
        for one in found:
            cost, count = one.errors.costs.get(kind), one.errors.counts[kind]
            text = "–" if cost is None else f"{100 * cost:.1f}"
            share = None if cost is None else cost / highest
            row.append(Cell(text, cost, share=share, note=f"{count:,}"))
        rows.append(tuple(row))
    return Table("errors", tuple(columns), tuple(rows))


def _chart(draw: Any, content: Any, *words: str) -> Markup | None:
    """What ``draw`` gives, which escapes names itself; None: there is nothing to draw."""
    return Markup(draw(content, *words)) if content else None


def _maps(maps: FeatureMaps) -> list[Mapping[str, Any]]:
    return [
        {
            "title": title,
            "role": maps.roles[title],
            "levels": [
                {"uri": map_uri(level), "likeness": likeness}
                for level, likeness in zip(levels, maps.likeness[title], strict=True)
            ],
        }
        for title, levels in maps.rows.items()
    ]
