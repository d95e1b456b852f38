"""The page of the papers' tables and figures: its content, and as a reader sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Page, browser, needs_chromium
from paper_case import Case

from mtpd.files import write_json
from mtpd.layout import PaperLayout
from mtpd.reporting.page.content import Table
from mtpd.reporting.page.papers import PaperReport, paper_report
from mtpd.steps.paper import measured_tables, write_paper, write_paper_report


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def content(case: Case) -> PaperReport:
    paper, experiments = case.load()
    return paper_report(measured_tables(paper, experiments, case.results), {})


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_nothing_is_measured(case: Case) -> None:
    found = content(case)
    assert found.finding == (
        "Of 5 published values none are measured here.",
        "The tables say what is missing.",
    )
    best, bars = texts(found.overview)
    assert best == ["Best results", "3", "0", "–", "not evaluated yet (4)"]
    assert bars[:4] == ["Direct against progressive", "2", "0", "–"]
    assert found.origins is None


def test_published_measured_and_how_far_they_are_apart(case: Case) -> None:
    """Published 36.5, 41.7, 42.0, 39.8, 40.2; measured 37.1, 41.2, 41.2 ± …, 40.0, 41.2."""
    case.put_all()
    found = content(case)
    first, second = found.finding
    assert first == "Of 5 published values 5 are measured here."
    section = found.tables[0]
    titles = [column.title for column in section.table.columns]
    assert titles[:5] == [
        "student", "teachers", "without published", "without measured", "without difference"
    ]  # fmt: skip
    row = dict(zip(titles, section.table.rows[0], strict=True))
    assert row["distilled measured"].text == "41.2"
    assert row["distilled measured"].key == pytest.approx(41.2)
    assert row["distilled difference"].text == "−0.5"
    assert row["distilled difference"].key == pytest.approx(-0.5)
    assert row["student"].key is None
    (note,) = (line for line in section.below if line.startswith("note 1"))
    assert note == "note 1: figure: 41.4"
    assert row["distilled published"].note == "note 1"
    differences = [
        cell.key
        for one in found.tables
        for cells in one.table.rows
        for column, cell in zip(one.table.columns, cells, strict=True)
        if column.title.endswith("difference") and cell.key is not None
    ]
    assert len(differences) == 5
    mean, low, high = (
        float(number.replace("−", "-")) for number in re.findall(r"[+−][\d.]+\d", second)
    )
    assert mean == pytest.approx(sum(differences) / 5, abs=0.051)
    assert (low, high) == (
        pytest.approx(min(differences), abs=0.051),
        pytest.approx(max(differences), abs=0.051),
    )
    assert found.origins is not None
    origin = dict(zip([c.title for c in found.origins.columns], found.origins.rows[2], strict=True))
    assert origin["column"].text == "distilled"
    assert origin["epochs"].text == "2+2+2"
    assert origin["weights SHA-256"].text == "hash of a+b"


def test_one_value_is_measured(case: Case) -> None:
    case.put(case.layout.detector("student"), 0.36)
    assert content(case).finding == (
        "Of 5 published values 1 is measured here.",
        "It differs from the published one by −0.5 points.",
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    case = Case(tmp_path_factory.mktemp("papers"))
    case.put_all()
    names = list(case.experiment.detectors)
    costs = {one: {other: 0.5 for other in names if other != one} for one in names}
    write_json(case.layout.costs, {"costs": costs, "levels": {}})
    paper, experiments = case.load()
    write_paper(paper, experiments, case.results, ["figures.stages", "figures.bars"])
    assert write_paper_report(paper, experiments, case.results) == PaperLayout(case.results).report
    return PaperLayout(case.results).report


def test_the_page_needs_no_other_file(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 2
    assert text.count("not drawn yet") == 2  # costs and generalisation
    assert "Direct against progressive" in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)


@pytest.fixture(scope="module")
def page(written: Path) -> Iterator[Page]:
    with browser() as page:
        page.look(1280)
        page.messages(), page.requests()
        page.open(written)
        yield page


@needs_chromium
@pytest.mark.xdist_group("report")
def test_in_a_browser(page: Page, written: Path) -> None:
    """No message, no request, images that load, tables that sort, and no sideways scrolling."""
    assert page.messages() == []
    assert page.requests() == [written.absolute().as_uri()]
    assert all(page.run("return [...document.images].map((image) => image.naturalWidth > 0);"))
    click = "const t = document.querySelector('table.overview'); t.tHead.rows[0].cells[1]"
    page.run(f"{click}.querySelector('button').click();")
    read = "return [...document.querySelector('table.overview').tBodies[0].rows]"
    assert page.run(f"{read}.map((row) => row.cells[1].innerText.trim());") == ["3", "2"]
    for width in (320, 768, 1280):
        page.look(width)
        page.open(written)
        assert page.run("return document.documentElement.scrollWidth;") <= width
