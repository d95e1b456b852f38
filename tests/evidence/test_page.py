"""Statistics and tables of the evidence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.evidence import page
from benchmarks.evidence.statistics import difference_of, paired
from mtpd.files import whole_file


def rows(**arms: list[float]) -> pd.DataFrame:
    found = [
        {
            "method": "cwd", "arm": arm, "seed": seed, "start": f"start {seed}",
            "AP": ap, "AP50": 2 * ap, "val_AP": ap, "train_loss": 0.5, "steps": 10, "teachers": "x",
        }
        for arm, values in arms.items()
        for seed, ap in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(found)


def test_differences_are_paired_by_seed() -> None:
    """Seeds differ by 10, the arms by 1 ± 0.1: unpaired, nothing could be told."""
    direct = [10.0, 20.0, 30.0, 40.0, 50.0]
    progressive = [11.0, 21.1, 30.9, 41.0, 51.1]
    found = paired(rows(direct=direct, progressive=progressive), "progressive", "direct", "AP")
    assert found is not None
    assert found.mean == pytest.approx(1.02)
    test = stats.ttest_rel(progressive, direct).confidence_interval()
    assert found.by_t == pytest.approx((test.low, test.high))
    assert found.by_t[0] < found.by_bootstrap[0] < 1.02 < found.by_bootstrap[1] < found.by_t[1]
    assert (found.starts, found.better, found.is_clear) == (5, 5, True)
    assert stats.ttest_ind(progressive, direct).pvalue > 0.5


def test_a_difference_within_the_noise_is_not_clear() -> None:
    found = difference_of(np.array([1.0, -1.2, 0.8, -0.5, 0.3]))
    assert not found.is_clear
    assert found.better == 3


def test_the_same_seed_from_another_start_is_another_run() -> None:
    """As on another processor, where training gives other weights."""
    here, there = rows(direct=[10.0, 20.0], progressive=[11.0, 22.0]), rows(progressive=[30.0])
    there["start"] = "start elsewhere"
    found = paired(pd.concat([here, there]), "progressive", "direct", "AP")
    assert found is not None
    assert (found.starts, found.mean) == (2, 1.5)


def test_arms_without_common_seeds_have_no_difference() -> None:
    table = rows(direct=[10.0], progressive=[11.0])
    assert paired(table, "progressive", "direct", "AP") is None
    assert paired(table, "progressive", "random", "AP") is None


def test_the_page_is_made_from_the_rows_alone(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    table = rows(baseline=[5.0, 6.0], direct=[10.0, 11.0], progressive=[12.0, 12.5])
    table.loc[table["arm"] == "baseline", "method"] = ""
    with whole_file(page.FOLDER / "evidence_some.csv") as temporary:
        table.to_csv(temporary, index=False)
    template = page.FOLDER.parent / "template.md"
    template.write_text(
        "{{arms evidence_some}}\n{{differences evidence_some}}\n{{figure evidence_some}}"
    )
    with template.open("a") as file:
        file.write("{{arms evidence_other}}")
    monkeypatch.setattr(page, "TEMPLATE", template)
    page.write_page()
    text = page.PAGE.read_text()
    assert "{{" not in text
    assert text.endswith("*Nothing of it has run yet.*")
    assert "| cwd | progressive, in the order of BGS | 2 | 10 | 12.25 ± 0.35 |" in text
    assert "progressive, in the order of BGS − direct from the strongest | +1.75 |" in text
    assert (page.FOLDER / "evidence_some.png").stat().st_size > 1000
