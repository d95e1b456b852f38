"""Tables, orders, charts and images of the report, from numbers that are given here."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mtpd.errors import UserError
from mtpd.evaluation.coco import PrecisionCurves
from mtpd.evaluation.errors import Errors
from mtpd.overview.records import Costs
from mtpd.reporting.page.charts import COLOURS, draw_lines, draw_precision
from mtpd.reporting.page.content import (
    ROLES,
    ErrorsOfModel,
    Finding,
    Line,
    Model,
    Report,
)
from mtpd.reporting.page.images import LONGEST_SIDE, map_uri, photo_uri
from mtpd.reporting.page.order import matrix_table, orders_of
from mtpd.reporting.page.render import errors_table, page_of
from mtpd.reporting.page.tables import (
    StageRow,
    class_table,
    results_table,
    size_table,
    stages_table,
)

STUDENT, CHAIN = Model("baseline", "small"), Model("progressive", "bgs")
ORDERS = json.loads((Path(__file__).parent / "orders.json").read_text())


def texts(rows) -> list[list[str]]:
    return [[cell.text for cell in row] for row in rows]


def test_results_are_shown_in_percent_and_sorted_by_their_values() -> None:
    frame = pd.DataFrame(
        {
            "run": ["student without teacher", "bgs"],
            "AP": [0.07749, np.nan],
            "epochs": ["", "10+8+8"],
            "parameters (M)": [0.27, 1.0],
            "empty": [None, None],
        }
    )
    table = results_table(frame, ["baseline", None])
    assert [column.title for column in table.columns] == ["run", "AP", "epochs", "parameters (M)"]
    assert [column.is_number for column in table.columns] == [False, True, True, True]
    assert texts(table.rows) == [
        ["student without teacher", "7.7", "–", "0.27"],
        ["bgs", "–", "10+8+8", "1"],
    ]
    assert [cell.key for cell in table.rows[0]] == [None, 0.07749, None, 0.27]
    assert table.rows[1][2].key == 26
    assert [row[0].role for row in table.rows] == ["baseline", None]


def test_stages_say_what_each_teacher_has_given() -> None:
    rows = [
        StageRow("bgs", 1, "wide", 40.0, 7.75, 12.0, 8, "progressive"),
        StageRow("alone", 1, None, None, 7.75, 7.72, 8),
        StageRow("fresh", 1, "wide", None, None, 3.0, None),
    ]
    assert texts(stages_table(rows).rows) == [
        ["bgs", "1", "wide", "40.0", "7.8", "12.0", "+4.2", "8"],
        ["alone", "1", "no teacher", "–", "7.8", "7.7", "+0.0", "8"],
        ["fresh", "1", "wide", "–", "–", "3.0", "–", "–"],
    ]


def test_classes_and_sizes_have_a_column_for_each_model() -> None:
    models = [(STUDENT, {"ring": 0.125, "star": None}), (CHAIN, {"ring": 0.5})]
    table = class_table(models, {"ring": 1200, "star": 0})
    assert texts(table.rows) == [["ring", "1,200", "12.5", "50.0"], ["star", "0", "–", "–"]]
    assert [cell.share for cell in table.rows[0]] == [None, None, 0.125, 0.5]
    assert [column.role for column in table.columns[2:]] == ["baseline", "progressive"]
    sizes = size_table([(CHAIN, {"bbox_mAP_s": 0.1, "bbox_mAP_m": None, "bbox_mAP_l": 0.3})])
    assert texts(sizes.rows) == [["small", "10.0"], ["medium", "–"], ["large", "30.0"]]


def test_errors_are_costs_with_their_number() -> None:
    costs = dict.fromkeys(
        ("localisation", "classification", "both", "duplicate", "background", "missed"), 0.0
    )
    counts = dict.fromkeys(costs, 1234)
    found = (
        ErrorsOfModel(STUDENT, Errors(0.2, counts, {**costs, "missed": 0.2}), 0.3),
        ErrorsOfModel(CHAIN, Errors(None, counts, {}), 0.3),
    )
    rows = errors_table(found).rows
    assert texts(rows)[0] == ["localisation", "0.0", "–"]
    assert texts(rows)[-1] == ["missed", "20.0", "–"]
    assert (rows[-1][1].share, rows[-1][1].note, rows[-1][2].share) == (1, "1,234", None)


def test_the_matrix_numbers_the_steps_of_the_order() -> None:
    costs = {"s": {"a": 0.5, "b": 1.2}, "a": {"s": 0.3, "b": 0.25}, "b": {"s": 0.1}}
    table = matrix_table(
        Costs(costs=costs, intervals={"s": {"a": (0.4, 0.6)}}), "s", "bgs", ["a", "b"]
    )
    assert [column.title for column in table.columns] == ["", "s", "a", "b"]
    assert texts(table.rows) == [
        ["s", "", "0.50", "1.20"],
        ["a", "0.30", "", "0.25"],
        ["b", "0.10", "–", ""],
    ]
    frames = {
        (row, column): cell.frames
        for row, cells in enumerate(table.rows)
        for column, cell in enumerate(cells)
        if cell.frames
    }
    assert frames == {(0, 2): ((1, "bgs"),), (1, 3): ((2, "bgs"),)}
    assert table.rows[0][2].note == "± 0.10"
    assert table.rows[0][3].share == 1


@pytest.mark.parametrize("name", ORDERS)
def test_every_kind_of_order_is_told_in_steps(name: str) -> None:
    [told] = orders_of(
        {"runs": {"run": ORDERS[name], "other": {"chain": "none"}}}, ["run", "other"]
    )
    assert told.teachers == tuple(ORDERS[name]["teachers"])
    assert [step.reason for step in told.steps] == [s["reason"] for s in ORDERS[name]["trace"]]
    for step, raw in zip(told.steps, ORDERS[name]["trace"], strict=True):
        given = raw.get("teachers", [])
        if given and isinstance(given[0], dict):
            assert step.candidates is not None
            assert [row[0].text for row in step.candidates.rows] == [t["teacher"] for t in given]
            assert [row[-1].text for row in step.candidates.rows] == [t["reason"] for t in given]


LINES = (
    Line("bgs", "progressive", ((0, 7.0), (1, float("nan")), (2, 9.0)), ((2, 9.0, "<w> & $x$"),)),
    Line("other", None, ((0, 7.0), (1, 8.0))),
)


def test_charts_take_their_colours_from_the_page() -> None:
    chart = draw_lines(LINES, "epochs", "AP, %")
    assert "var(--progressive)" in chart
    assert "var(--faint)" in chart
    assert not any(colour in chart for colour in COLOURS.values())
    assert "<style" not in chart
    text = "".join(ElementTree.fromstring(chart).itertext())
    assert "<w> & $x$" in text
    assert draw_lines(LINES, "epochs", "AP, %") == chart


def test_curves_end_where_no_detection_reaches() -> None:
    recalls = np.linspace(0, 1, 101)
    half = np.where(recalls <= 0.5, 1.0, 0.0)
    curves = PrecisionCurves(recalls, {"ring": {0.5: half, 0.75: 0 * half}})
    chart = draw_precision([(CHAIN, curves)])
    assert "all classes" in chart
    assert chart.count("var(--progressive)") == 1  # nothing at 0.75, and one class is all of them
    two = PrecisionCurves(recalls, {n: {0.5: half, 0.75: half} for n in ("ring", "star")})
    assert draw_precision([(CHAIN, two)]).count("var(--progressive)") == 6


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_photos_are_scaled_down_and_never_turned(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (2000, 1000), (200, 10, 10)).save(path)
    found = decoded(photo_uri(path))
    assert found.size == (LONGEST_SIDE, LONGEST_SIDE // 2)
    small = tmp_path / "small.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter, as a phone says
    Image.new("L", (40, 20)).save(small, exif=exif)
    assert decoded(photo_uri(small)).size == (40, 20)


def test_a_broken_image_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"no image")
    with pytest.raises(UserError, match="cannot be read as an image"):
        photo_uri(path)


def test_maps_are_one_pixel_for_each_value() -> None:
    image = decoded(map_uri(np.array([[0.0, 1.0, 2.0], [0.5, -1.0, 0.0]])))
    assert image.size == (3, 2)
    pixels = np.asarray(image.convert("RGB"))
    assert pixels[0, 1].tolist() == pixels[0, 2].tolist()
    assert pixels[0, 0].tolist() == pixels[1, 1].tolist()
    assert pixels.sum(axis=2)[0, 0] < pixels.sum(axis=2)[1, 0] < pixels.sum(axis=2)[0, 1]


def test_every_role_has_a_colour_in_light_and_in_dark() -> None:
    page = page_of(Report("demo", "", "test", Finding(("One.", "Two."))))
    for role in ROLES:
        assert len(re.findall(rf"--{role}: #", page)) == 2
        assert f".{role} {{ --role: var(--{role}); }}" in page


def test_a_page_of_nothing_says_so() -> None:
    page = page_of(Report("<demo>", "", "test", Finding(("One.", "Two."))))
    assert "<title>&lt;demo&gt;: report</title>" in page
    assert page.count("not measured yet.") == 6
