"""How stable costs are, on features of which the answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.evidence import stability
from benchmarks.evidence.page import stability_table
from mtpd.selection.pool import Pool


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Four detectors of one rising part of a common signal, and noise of their own."""
    monkeypatch.setattr(stability, "DRAWS", 12)
    generator = np.random.default_rng(0)
    common = generator.normal(size=(600, 32, 6)) + generator.normal(size=(600, 1, 6))
    shares = {"student": 0.3, "a": 0.5, "b": 0.7, "c": 0.9}
    features = {
        name: {8: (share * common + (1 - share) * generator.normal(size=common.shape)).astype("f4")}
        for name, share in shares.items()
    }
    pool = Pool("student", {"a": 10.0, "b": 20.0, "c": 30.0}, student_score=5.0)
    return pd.DataFrame(list(stability.stability(features, pool)), columns=stability.COLUMNS)


def test_more_images_and_points_make_costs_more_stable(rows: pd.DataFrame) -> None:
    images = rows[rows["what"] == "images"].set_index("value")
    assert images["mean_abs_error"].is_monotonic_decreasing
    assert (images["max_abs_error"] >= images["mean_abs_error"]).all()
    assert images.loc[512, "kendall_tau"] > 0.95
    assert images.loc[512, "same_bgs"] == 1
    assert images["interval_holds"].between(0.6, 1).all()
    points = rows[rows["what"] == "points, of 128 images"].set_index("value")
    assert points.loc[16, "mean_abs_error"] < points.loc[1, "mean_abs_error"]


def test_a_trained_convolution_finds_about_the_same(rows: pd.DataFrame) -> None:
    trained = rows[rows["what"] == "1×1 convolutions, trained"].iloc[0]
    assert trained["mean_abs_error"] < 0.05
    assert trained["same_bgs"] == 1
    text = stability_table(rows.astype(str))
    assert text.count("\n") == len(rows) + 1
