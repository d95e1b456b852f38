"""The LaTeX of a paper's table, and the drawn figures: everything that is there, and legible."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from mtpd.papers.measured import Measurement
from mtpd.papers.paper import Cell, Row, Table
from mtpd.reporting import bars, cost_matrix, generalisation, stages
from mtpd.reporting.bars import Bar, Group
from mtpd.reporting.generalisation import Trajectory
from mtpd.reporting.latex import escaped
from mtpd.reporting.paper import MeasuredTable, latex_of, markdown_of
from mtpd.reporting.stages import Point, RunStages

SPECIAL = 'a_b & 5% of $3 #1 {x} ~ ^ \\ < > | " → -> ± × ≈ − λ ↑ ↓ – é'
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs,graphicx}
\begin{document}
%s
\end{document}
"""


def table(note: str = SPECIAL) -> MeasuredTable:
    cells = {
        "after_1": Cell(experiment="e", run="r", stage=1, metric="bbox_mAP"),
        SPECIAL: Cell(experiment="e", run="r", metric="bbox_mAP", published=41.25, note=note),
    }
    found = {
        "after_1": Measurement((), 1, "not evaluated yet"),
        SPECIAL: Measurement((41.0, 42.0), 3, "not evaluated yet"),
    }
    rows = (Row(labels=(SPECIAL, "b"), cells=cells), Row(labels=("c", "d"), cells=cells))
    content = Table(title=SPECIAL, source=SPECIAL, labels=("student", "t_1"), rows=rows)
    return MeasuredTable("best_1", content, (found, found))


def test_special_characters_are_escaped() -> None:
    assert escaped("50% of a_b & c") == r"50\% of a\_b \& c"
    assert escaped("a -> b → c") == r"a $\rightarrow$ b $\rightarrow$ c"
    assert escaped("\\{}") == r"\textbackslash{}\{\}"
    assert escaped("41.2 ± 0.3\n−1") == r"41.2 $\pm$ 0.3 $-$1"


def test_columns_of_a_cell_stand_under_its_name() -> None:
    text = latex_of(table())
    assert r"\begin{tabular}{llrrrr}" in text
    assert r"\multicolumn{1}{c}{after\_1} & \multicolumn{3}{c}{" in text
    assert r"\cmidrule(lr){3-3} \cmidrule(lr){4-6}" in text
    assert r"missing & 41.25\textsuperscript{1} & 41.5 $\pm$ 0.7 (n = 2 of 3) & +0.2 \\" in text
    assert text.count(r"\textsuperscript{1}") == 3  # two rows share the footnote
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX is installed")
def test_the_fragment_compiles(tmp_path: Path) -> None:
    (tmp_path / "table.tex").write_text(DOCUMENT % latex_of(table()))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert "Missing character" not in (tmp_path / "table.log").read_text()


def test_bars_of_a_label_do_not_break_a_markdown_table() -> None:
    body = [line for line in markdown_of(table()).splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in body}) == 1


# Figures


def test_a_pair_of_bars_for_every_column_and_a_mark_for_what_is_missing() -> None:
    axes = Figure().subplots()
    group = Group("R50", "MGD", {"direct": Bar(41.0, 41.5, 0.2), "chain": Bar(41.4, None)}, "AP")
    bars._draw_panel(axes, "R50", [group], ["direct", "chain", "absent"])
    tops = [patch.get_y() + patch.get_height() for patch in axes.patches]
    assert tops[:3] == pytest.approx([41.0, 41.5, 41.4])
    assert [bool(patch.get_hatch()) for patch in axes.patches] == [False, False, False, True]
    assert [text.get_text() for text in axes.texts] == ["41.0", "41.5", "41.4"]
    assert axes.get_ylim()[0] < 41.0 < 41.7 < axes.get_ylim()[1]


def test_stages_mark_what_is_missing() -> None:
    axes = Figure().subplots()
    run = RunStages("chain", "a → b", (Point(36.5), Point(None), Point(41.2, 0.1, 41.7)))
    stages._draw_run(axes, run, 0, 0.0)
    measured, published, missing = axes.get_lines()[:3]
    assert list(measured.get_ydata())[::2] == [36.5, 41.2]
    assert list(published.get_ydata())[-1] == 41.7
    assert list(missing.get_xdata()) == [1]
    assert missing.get_marker() == "x"


def test_a_trajectory_ends_in_a_marker() -> None:
    loss, accuracy, both = Figure().subplots(1, 3)
    each = Trajectory("chain", (1.0, 0.8), (30.0, 36.0))
    generalisation._draw(loss, accuracy, both, each, "o", {"color": "C0"})
    line, end = both.get_lines()
    assert list(line.get_xdata()) == [1.0, 0.8]
    assert (list(end.get_xdata()), list(end.get_ydata())) == ([0.8], [36.0])


COSTS = {
    "student": {"a": 0.5, "b": 1.2},
    "a": {"student": 0.3, "b": 0.25},
    "b": {"student": 0.4, "a": 0.35},
}


def test_frames_are_on_the_costs_of_the_order() -> None:
    axes = Figure().subplots()
    cost_matrix._draw_order(axes, ["student", "a", "b"], ["a", "b"], 0)
    centres = [
        (f.get_y() + f.get_height() / 2, f.get_x() + f.get_width() / 2) for f in axes.patches
    ]
    assert centres == [pytest.approx((0, 1)), pytest.approx((1, 2))]  # row, column
    assert [text.get_text() for text in axes.texts] == ["1", "2"]


def test_every_cost_is_written_and_a_missing_one_hatched() -> None:
    figure = Figure()
    axes = figure.subplots()
    costs = {**COSTS, "b": {"student": 0.4}}
    intervals = {"b": {"student": (0.35, 0.47)}}
    cost_matrix._draw_matrix(figure, axes, costs, intervals, ["student", "a", "b"])
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["0.50", "1.20", "0.30", "0.25", "0.40", "±0.06"]
    assert [bool(patch.get_hatch()) for patch in axes.patches] == [True]


LONG = "cascade_mask_rcnn_x101_32x4d_fpn_dconv_c3-c5_1x"


def test_long_names_do_not_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(cost_matrix, "save", lambda figure, paths: drawn.append(figure))
    names = [f"{LONG}_{number}" for number in range(5)]
    costs = {one: {other: 0.5 for other in names if one != other} for one in names}
    cost_matrix.draw_cost_matrix(costs, {}, names[0], {"bgs": names[1:4]}, "title", [])
    (figure,) = drawn
    figure.draw_without_rendering()
    labels = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(box.x0 >= 0 for box in labels)
    assert not any(one.overlaps(other) for one, other in pairwise(labels))
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    bottoms = [label.get_window_extent().y0 for label in figure.axes[0].get_xticklabels()]
    assert min(bottoms) > box.y1


def test_a_legend_of_many_bars_stays_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(bars, "save", lambda figure, paths: drawn.append(figure))
    columns = [f"{mechanism} {way}" for mechanism in ("CWD", "FGD", "MGD") for way in ("a", "long")]
    groups = [
        Group("R50", kind, dict.fromkeys(columns, Bar(40.0, None)), f"{kind} AP")
        for kind in ("box", "mask")
    ]
    bars.draw_bars(groups, columns, "title", [])
    (figure,) = drawn
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert (box.x0 >= 0, box.x1 <= figure.bbox.width) == (True, True)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_ylabel() for axes in panels] == ["box AP, from 39", "mask AP, from 39"]
