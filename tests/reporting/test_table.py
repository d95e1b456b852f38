"""The table says what was measured."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mtpd.reporting.table import with_means, write_table

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


SEEDS = pd.DataFrame(
    [
        {"run": "alone", "detectors": "b", "AP": 0.3, "mask AP": None, "training minutes": 1.0},
        {
            "run": "chain",
            "detectors": "a → b",
            "AP": 0.40,
            "mask AP": None,
            "training minutes": 2.0,
        },
        {
            "run": "chain~1",
            "detectors": "a → b",
            "AP": 0.42,
            "mask AP": None,
            "training minutes": 3,
        },
    ]
)
MEMBERS = {"alone": ("alone",), "chain": ("chain", "chain~1")}


def test_runs_of_several_seeds_have_a_mean_and_a_standard_deviation() -> None:
    table = with_means(SEEDS, MEMBERS)
    assert list(table["run"]) == ["alone", "chain", "chain~1", "chain (n = 2)"]
    mean = table.iloc[-1]
    assert mean["AP"] == pytest.approx(0.41)
    assert mean["AP standard deviation"] == pytest.approx(0.02 / 2**0.5)
    assert mean["detectors"] == "a → b"
    assert pd.isna(mean["training minutes"])  # the seeds differ
    assert pd.isna(mean["mask AP"])


def test_a_mean_is_shown_with_its_deviation(tmp_path: Path) -> None:
    paths = [tmp_path / f"results.{kind}" for kind in ("csv", "md", "tex")]
    write_table(with_means(SEEDS, MEMBERS), *paths)
    markdown, latex = (path.read_text() for path in paths[1:])
    for text in (markdown, latex):
        assert "41.0 ± 1.4" in text
        assert "40.0 ± " not in text
        assert "nan" not in text
        assert "standard deviation" not in text


def test_one_seed_changes_nothing() -> None:
    assert with_means(SEEDS, {"alone": ("alone",)}) is SEEDS
