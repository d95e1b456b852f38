"""The figure of validation AP over a chain's epochs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mtpd.reporting import curves
from mtpd.reporting.curves import RunCurve, StageCurve, draw_chains

CHAIN = RunCurve("chain", (StageCurve("a", (0.1, 0.2)), StageCurve("b", (0.25, math.nan, 0.3))))
DIRECT = RunCurve("direct", (StageCurve("b", (0.15, 0.22)),))


def test_stages_follow_each_other_in_colours_of_their_own() -> None:
    from matplotlib.figure import Figure

    panel = Figure().subplots()
    curves._draw(panel, CHAIN, [DIRECT], {"baseline": 0.12})
    lines = {line.get_label(): line for line in panel.get_lines()}
    first, second = lines["chain, stage 1: a"], lines["chain, stage 2: b"]
    assert list(first.get_xdata()) == [1, 2]
    assert list(second.get_xdata()) == [3, 5]
    assert second.get_ydata()[0] == pytest.approx(25)
    assert first.get_color() != second.get_color()
    assert list(lines["direct"].get_ydata()) == pytest.approx([15, 22])


@pytest.mark.parametrize("runs", [[CHAIN, DIRECT], [DIRECT], []])
def test_writes_every_format_the_same_each_time(runs: list[RunCurve], tmp_path: Path) -> None:
    contents = []
    for folder in ("one", "other"):
        paths = [tmp_path / folder / f"figure.{kind}" for kind in ("png", "pdf")]
        draw_chains(runs, {"baseline": 0.12}, "title", paths)
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]
    assert contents[0][0].startswith(b"\x89PNG")
