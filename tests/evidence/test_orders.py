"""Rank and regret of strategies among all orders, and what predicts an order's AP."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from benchmarks.evidence.orders import correlations, orders_of_length, regrets, seed_noise
from benchmarks.evidence.page import orders_table
from benchmarks.evidence.rows import JOINT

SCORES = {"a": 10.0, "b": 20.0, "c": 30.0, "d": 40.0}
SEEDS = (0, 1, 2)


def ap_of(order: tuple[str, ...]) -> float:
    """Ascending orders are the better ones, and those that end with stronger teachers."""
    return sum(place * SCORES[name] for place, name in enumerate(order, start=1))


def rows(noise: float = 0.0, **chosen: tuple[str, ...]) -> pd.DataFrame:
    """Every order of one to three teachers; seeds differ by 5, which is paired out."""
    generator = np.random.default_rng(0)
    orders = [order for n in (1, 2, 3) for order in permutations(SCORES, n)]
    arms = {JOINT.join(order): order for order in orders} | chosen
    found = []
    for seed in SEEDS:
        measured = {order: ap_of(order) + 5 * seed + generator.normal(0, noise) for order in orders}
        found += [
            {
                "arm": arm,
                "start": f"start {seed}",
                "teachers": " > ".join(order),
                "AP": measured[order],
            }
            for arm, order in arms.items()
        ]
    return pd.DataFrame(found)


def test_orders_are_told_from_choices_and_by_length() -> None:
    table = rows(bgs=("b", "c", "d"), direct=("d",))
    assert [len(orders_of_length(table, number)) for number in (1, 2, 3)] == [4, 12, 24]
    assert list(orders_of_length(table, 3).columns) == [f"start {seed}" for seed in SEEDS]


def test_rank_and_regret() -> None:
    table = rows(bgs=("b", "c", "d"), reversed=("d", "c", "b"), ascending=("a", "c", "d"))
    found = regrets(table, 3).set_index("strategy")
    assert found.loc["bgs", ["rank", "of", "regret", "seeds"]].tolist() == [1, 24, 0, 3]
    assert found.loc["ascending", "rank"] == 2
    assert found.loc["ascending", "regret"] == pytest.approx(10)
    assert found.loc["reversed", "regret"] == pytest.approx(
        ap_of(("b", "c", "d")) - ap_of(("d", "c", "b"))
    )
    every = [ap_of(order) for order in permutations(SCORES, 3)]
    assert found.loc["bgs", "draws"] == pytest.approx(max(every) - np.mean(every))


def test_a_strategy_counts_among_orders_of_its_length_alone() -> None:
    table = rows(bgs=("b", "c", "d"), minimax=("d",))
    assert regrets(table, 3)["strategy"].tolist() == ["bgs"]
    assert regrets(table, 1)["strategy"].tolist() == ["minimax"]
    text = orders_table(table)
    assert f"| bgs | b → c → d | {len(SEEDS)} | 205.00 | 1 of 24 |" in text
    assert "| minimax | d |" in text


def test_noise_is_what_seed_and_order_do_not_explain() -> None:
    assert seed_noise(rows(), 3) == pytest.approx(0, abs=1e-9)
    assert seed_noise(rows(noise=2.0), 3) == pytest.approx(2, rel=0.3)
    first = rows(bgs=("b", "c", "d"))
    first = first[first["start"] == f"start {SEEDS[0]}"]
    assert seed_noise(first, 3) is None
    assert "| – |" in orders_table(first)


def test_predictors() -> None:
    """Costs that fall with the difference of scores: low where a step is small."""
    costs = [
        {
            "start": f"start {seed}", "source": one, "target": other, "score": scores[one],
            "cost": abs(scores[one] - scores[other]) / 100,
        }
        for scores in ({"student": 5.0, **SCORES},)
        for seed in SEEDS
        for one, other in permutations(scores, 2)
    ]  # fmt: skip
    found = correlations(rows(), pd.DataFrame(costs), 3).set_index("predictor")
    assert found.loc["score of the last teacher", "spearman"] > 0.5
    assert found.loc["steps to a stronger teacher", "kendall"] > 0.3
    assert found.loc["sum of the costs of all steps", "spearman"] == pytest.approx(
        -found.loc["steps to a stronger teacher", "spearman"], abs=0.6
    )
