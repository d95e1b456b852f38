"""The table says what was measured."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mtpd.reporting.table import write_table

TABLE = pd.DataFrame(
    [
        {"run": "baseline", "detectors": "r18_w16", "AP": 0.1534, "AP50": 0.3, "mask AP": None,
         "FLOPs (G)": 2.5},
        {"run": "chain", "detectors": "a → b", "AP": None, "AP50": 0.31, "mask AP": None,
         "FLOPs (G)": None},
    ]
)  # fmt: skip


def write(folder: Path) -> list[Path]:
    paths = [folder / f"results.{kind}" for kind in ("csv", "md", "tex")]
    write_table(TABLE, *paths)
    return paths


def test_csv_keeps_the_figures_as_they_are(tmp_path: Path) -> None:
    csv, _, _ = write(tmp_path)
    read = pd.read_csv(csv)
    assert list(read["AP"][:1]) == [0.1534]
    assert read["AP"].isna()[1]


def test_shown_tables_give_percent_and_mark_missing_cells(tmp_path: Path) -> None:
    _, markdown, latex = (path.read_text() for path in write(tmp_path))
    for text in (markdown, latex):
        assert "15.3" in text
        assert text.count("–") == 2
        assert "nan" not in text
        assert "mask AP" not in text  # nobody has one
    assert "r18\\_w16" in latex
    assert "\\toprule" in latex


def test_the_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in write(tmp_path / "one")]
    assert first == [path.read_bytes() for path in write(tmp_path / "other")]
