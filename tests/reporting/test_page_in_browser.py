"""The report as a reader sees it, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Page, browser, needs_chromium
from report_case import ReportCase

pytestmark = [needs_chromium, pytest.mark.xdist_group("report")]

SCHEMES = ["light", "dark"]


@pytest.fixture
def report(reported: ReportCase) -> Path:
    path: Path = reported.layout.report
    return path


@pytest.fixture(scope="module")
def started() -> Iterator[Page]:
    with browser() as page:
        yield page


@pytest.fixture
def page(started: Page, report: Path) -> Page:
    started.look(1280)
    started.messages(), started.requests()
    started.open(report)
    return started


def test_nothing_is_wrong_and_nothing_is_asked_for(page: Page, report: Path) -> None:
    assert page.messages() == []
    assert page.requests() == [report.absolute().as_uri()]


def test_the_network_is_closed_to_it(page: Page) -> None:
    """What is not in the page is refused: the policy is in force."""
    page.run(
        "const i = new Image(); i.src = 'https://example.invalid/x.png'; document.body.append(i);"
    )
    assert page.later("setTimeout(() => done(document.images.length), 200);") > 0
    assert any("Content Security Policy" in message for message in page.messages())


def test_every_image_loads(page: Page) -> None:
    sizes = page.later(
        """
        const addresses = [...document.images].map((image) => image.src).concat(
          [...document.querySelectorAll("svg image")].map((image) => image.href.baseVal));
        Promise.all(addresses.map(async (address) => {
          const image = new Image();
          image.src = address;
          await image.decode();
          return image.naturalWidth;
        })).then(done, (error) => done(String(error)));
        """
    )
    # Eight pictures, the image of the maps, and maps of three models at four strides.
    assert len(sizes) == 8 + 1 + 3 * 4
    assert all(size > 0 for size in sizes)
    used = page.run(
        "return [...document.querySelectorAll('svg use')].map((use) => use.getBBox().width);"
    )
    pictures = [width for width in used if width == 96]
    assert len(pictures) == 8 * 3


COLUMN = """
const table = document.querySelector("table.results");
const column = [...table.tHead.rows[0].cells].findIndex((c) => c.innerText.trim() === arguments[0]);
const heading = table.tHead.rows[0].cells[column];
"""


def column(page: Page, title: str) -> list[str]:
    """Cells of a column of the results table, from the top."""
    return page.run(
        COLUMN + "return [...table.tBodies[0].rows].map((r) => r.cells[column].innerText.trim());",
        title,
    )


def sorting(page: Page, title: str) -> str | None:
    return page.run(COLUMN + "return heading.getAttribute('aria-sort');", title)


def test_a_click_sorts_by_number_and_a_second_one_turns_it_round(page: Page) -> None:
    before = column(page, "AP")
    expected = sorted(before, key=float, reverse=True)
    assert before != expected
    page.run(COLUMN + "heading.querySelector('button').click();", "AP")
    assert (column(page, "AP"), sorting(page, "AP")) == (expected, "descending")
    page.run(COLUMN + "heading.querySelector('button').click();", "AP")
    assert (column(page, "AP"), sorting(page, "AP")) == (expected[::-1], "ascending")


def test_the_keyboard_sorts_too(page: Page) -> None:
    from selenium.webdriver import ActionChains, Keys

    page.run(COLUMN + "heading.querySelector('button').focus();", "AP50")
    ActionChains(page.driver).send_keys(Keys.ENTER).perform()
    assert sorting(page, "AP50") == "descending"
    found = [float(value) for value in column(page, "AP50")]
    assert found == sorted(found, reverse=True)
    # The next column by the tabulator, and the space bar as good as Enter.
    ActionChains(page.driver).send_keys(Keys.TAB, Keys.SPACE).perform()
    assert sorting(page, "AP50") is None
    assert sorting(page, "AP75") == "descending"


def test_words_and_sums_of_epochs_sort(page: Page) -> None:
    page.run(COLUMN + "heading.querySelector('button').click();", "run")
    names = column(page, "run")
    assert names == sorted(names)
    assert sorting(page, "run") == "ascending"
    page.run(COLUMN + "heading.querySelector('button').click();", "epochs")
    sums = [sum(map(int, epochs.split("+"))) for epochs in column(page, "epochs")]
    assert sums == [12] * 3 + [4] * 4
    # Cells without a value stay below, whichever way the others go.
    for _ in range(2):
        page.run(COLUMN + "heading.querySelector('button').click();", "method")
        assert column(page, "method") == ["fm"] * 3 + ["–"] * 4


@pytest.mark.parametrize("width", [320, 400, 768, 1280])
def test_the_page_never_scrolls_sideways(page: Page, report: Path, width: int) -> None:
    page.look(width)
    page.open(report)
    assert page.run("return document.documentElement.scrollWidth;") <= width


CONTRAST = """
const luminance = (colour) => {
  const channels = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2];
};
const paper = luminance(getComputedStyle(document.body).backgroundColor);
return [...document.querySelectorAll(arguments[0])].map((element) => {
  const style = getComputedStyle(element);
  const ink = luminance(arguments[1] === "fill" ? style.fill : style.color);
  return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
});
"""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_can_be_read_in_light_and_dark(page: Page, report: Path, scheme: str) -> None:
    """At least 4.5 to 1, as WCAG asks of text."""
    page.look(1280, scheme)
    page.open(report)
    background = page.run("return getComputedStyle(document.body).backgroundColor;")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    for selector, what in (
        (
            "h1, h2, h3, p, th, td:not(.matrix td), small:not(.matrix small), button, summary",
            "color",
        ),
        (".chart text", "fill"),
    ):
        ratios = page.run(CONTRAST, selector, what)
        assert len(ratios) > 10
        assert min(ratios) >= 4.5, (selector, min(ratios))


def test_it_prints(page: Page) -> None:
    printed = page.pdf()
    assert printed.startswith(b"%PDF")
    assert len(printed) > 50_000


def test_folded_parts_are_printed(page: Page) -> None:
    closed = "return document.querySelectorAll('details:not([open])').length;"
    before = page.run(closed)
    assert before > 0
    page.run("window.dispatchEvent(new Event('beforeprint'));")
    assert page.run(closed) == 0
    page.run("window.dispatchEvent(new Event('afterprint'));")
    assert page.run(closed) == before


def test_names_are_text_and_never_code(page: Page) -> None:
    """The description has signs that mean something in HTML."""
    shown = page.run("return document.querySelector('.description').innerText;")
    assert shown == 'Results made by hand, <with> a "sign" & an umlaut: ü'
