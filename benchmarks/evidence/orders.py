"""How good the orders are that strategies choose, among all that there are."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
from scipy.stats import kendalltau, spearmanr

from benchmarks.evidence.rows import JOINT

STRATEGIES = ("bgs", "bgs-between", "ascending", "minimax", "exhaustive", "reversed", "random")


def is_an_order(rows: pd.DataFrame) -> pd.Series:
    """Which rows are those of an order that was written out, not of a strategy's choice."""
    return rows["arm"] == rows["teachers"].str.replace(" > ", JOINT)


def orders_of_length(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """AP of every order of so many teachers: one row for an order, one column for a start."""
    chosen = rows[is_an_order(rows) & (rows["teachers"].str.count(" > ") == number - 1)]
    return chosen.pivot_table("AP", "teachers", "start").dropna()


def regrets(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """What each strategy's choice costs against the best order of ``number`` teachers.

    Returns:
        A row for each strategy that chose so many teachers in every seed, the best first:
        ``seeds``; ``orders``, what it chose; ``AP``, mean; ``rank`` of its mean among the means of
        all orders, 1 the best, where an order that changes with the seed stands for itself; ``of``,
        their number;
        ``regret``, how far its mean is behind the best order's; and ``draws``, how far an order
        drawn at random is.
    """
    table = orders_of_length(rows, number)
    means = table.mean(axis=1)
    found = []
    for strategy in STRATEGIES:
        own = rows[(rows["arm"] == strategy) & rows["start"].isin(table.columns)]
        long = own["teachers"].str.count(" > ") == number - 1
        if own.empty or not long.all() or set(own["start"]) != set(table.columns):
            continue
        ap = own["AP"].mean()
        found.append(
            {
                "strategy": strategy,
                "seeds": len(own),
                "orders": sorted(set(own["teachers"])),
                "AP": ap,
                "rank": int((means > ap + 1e-9).sum()) + 1,
                "of": len(means),
                "regret": means.max() - ap,
                "draws": means.max() - means.mean(),
            }
        )
    return pd.DataFrame(sorted(found, key=lambda row: row["regret"]))


def seed_noise(rows: pd.DataFrame, number: int) -> float | None:
    """Standard deviation of an order's AP over seeds, without what a seed adds to all orders.

    None: there is one seed alone.
    """
    table = orders_of_length(rows, number)
    if table.shape[1] < 2:
        return None
    left = table.sub(table.mean(axis=0), axis=1).sub(
        table.mean(axis=1) - table.mean().mean(), axis=0
    )
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return float(((left**2).sum().sum() / freedom) ** 0.5)


def correlations(rows: pd.DataFrame, costs: pd.DataFrame, number: int) -> pd.DataFrame:
    """Rank correlations between what may predict an order's AP and that AP, over all orders.

    Args:
        rows: Of the experiment.
        costs: With ``start``, ``source``, ``target``, ``cost``, and ``score`` of the source.
        number: Of teachers in the orders.

    Returns:
        ``predictor``, ``spearman`` and ``kendall``, of means over seeds. A lower cost should go
        with a higher AP, so negative is as it should be; of the scores, positive.
    """
    table = orders_of_length(rows, number)
    costs = costs[costs["start"].isin(table.columns)]
    mean = costs.groupby(["source", "target"])["cost"].mean()
    score = costs.groupby("source")["score"].mean()
    # The student is no teacher of any order.
    (student,) = set(costs["source"]) - {
        name for order in table.index for name in order.split(" > ")
    }
    steps = {
        order: [mean[step] for step in pairwise([student, *order.split(" > ")])]
        for order in table.index
    }
    teachers = {order: order.split(" > ") for order in table.index}
    predictors = {
        "sum of the costs of all steps": [sum(steps[order]) for order in table.index],
        "largest cost of a step": [max(steps[order]) for order in table.index],
        "cost of the first step": [steps[order][0] for order in table.index],
        "cost of the last step": [steps[order][-1] for order in table.index],
        "score of the first teacher": [score[teachers[order][0]] for order in table.index],
        "score of the last teacher": [score[teachers[order][-1]] for order in table.index],
        "steps to a stronger teacher": [
            sum(score[one] < score[other] for one, other in pairwise(teachers[order]))
            for order in table.index
        ],
    }
    ap = table.mean(axis=1)
    return pd.DataFrame(
        [
            {
                "predictor": name,
                "spearman": float(spearmanr(values, ap).statistic),
                "kendall": float(kendalltau(values, ap).statistic),
            }
            for name, values in predictors.items()
        ]
    )
