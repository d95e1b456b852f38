"""Paired differences between arms, with 95 % intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

RESAMPLES = 10_000


@dataclass(frozen=True)
class Difference:
    """How much better one arm is than another, over starts that both have.

    Attributes:
        mean: In the metric's unit.
        by_t: 95 % interval by Student's t.
        by_bootstrap: 95 % interval by drawing the starts again.
        starts: Their number.
        better: Of them, how many favour the first arm.
    """

    mean: float
    by_t: tuple[float, float]
    by_bootstrap: tuple[float, float]
    starts: int
    better: int

    @property
    def is_clear(self) -> bool:
        """Whether zero lies outside both intervals."""
        return all(low > 0 or high < 0 for low, high in (self.by_t, self.by_bootstrap))


def paired(rows: pd.DataFrame, one: str, other: str, metric: str) -> Difference | None:
    """``one`` less ``other``, start by start; None: fewer than two have both.

    Args:
        rows: Of one experiment and method, with columns ``arm``, ``start`` and the metric.
        one: An arm.
        other: Another.
        metric: Column to compare.
    """
    table = rows.pivot_table(index="start", columns="arm", values=metric)
    if not {one, other} <= set(table.columns):
        return None
    differences = (table[one] - table[other]).dropna().to_numpy()
    return difference_of(differences) if len(differences) > 1 else None


def difference_of(differences: np.ndarray) -> Difference:
    """What paired differences say; two of them at least."""
    count, mean = len(differences), float(differences.mean())
    half = float(stats.t.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count))
    drawn = np.random.default_rng(0).choice(differences, (RESAMPLES, count)).mean(axis=1)
    low, high = (float(end) for end in np.percentile(drawn, [2.5, 97.5]))
    better = int((differences > 0).sum())
    return Difference(mean, (mean - half, mean + half), (low, high), count, better)
