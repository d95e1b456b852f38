"""Orders of teachers by a strategy's name, and the strategies that need no costs.

Every strategy takes the :class:`Pool` and the largest number of teachers, and returns an
:class:`Order`. The strongest teacher is the one with the highest score; where scores tie, the first
by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from mtpd.errors import UserError
from mtpd.selection.decisions import Drawn, HighestScores, Named, Order, StrongestLast
from mtpd.selection.greedy import backward_greedy, backward_greedy_between, reversed_greedy
from mtpd.selection.optimal import exhaustive, minimax
from mtpd.selection.pool import Costs, Pool


def direct(pool: Pool, max_teachers: int) -> Order:
    """The strongest teacher alone. Costs are not needed.

    Raises:
        UserError: A score is missing or not finite, or ``max_teachers`` fits no order.
    """
    pool.check_scores(max_teachers)
    return Order.of("direct", pool, pool.ranked()[:1], [StrongestLast.of(pool)])


def ascending(pool: Pool, max_teachers: int) -> Order:
    """The ``max_teachers`` strongest teachers by score, weakest of them first.

    Costs are not needed.

    Raises:
        UserError: A score is missing or not finite, or ``max_teachers`` fits no order.
    """
    pool.check_scores(max_teachers)
    names = pool.ranked()
    decision = HighestScores(max_teachers, pool, tuple(names[max_teachers:]))
    return Order.of("ascending", pool, names[max_teachers - 1 :: -1], [decision])


def shuffled(
    student: str, teachers: Iterable[str], costs: Costs, max_teachers: int, seed: int
) -> Order:
    """``max_teachers`` of ``teachers`` at random, every order as likely as any other.

    The same names and seed give the same order; neither scores nor costs are needed.
    """
    names = sorted(teachers)
    drawn = Random(seed).sample(names, max_teachers)
    pool = Pool(student, {}, costs)
    return Order.of("random", pool, drawn, [Drawn(max_teachers, len(names), seed)])


Strategy = Callable[[Pool, int], Order]

STRATEGIES: dict[str, Strategy] = {
    "bgs": backward_greedy,
    "bgs-between": backward_greedy_between,
    "direct": direct,
    "ascending": ascending,
    "minimax": minimax,
    "exhaustive": exhaustive,
    "reversed": reversed_greedy,
}
"""Strategies by the name that an experiment gives."""

_WITHOUT_COSTS = {"direct", "ascending"}


def choose_order(strategy: str | Sequence[str], pool: Pool, max_teachers: int) -> Order:
    """Order by a strategy's name, or a list of teachers as it is.

    Args:
        strategy: A key of ``STRATEGIES``, or teachers first to last: those need neither scores nor
            costs, may repeat, and are not limited by ``max_teachers``.
        pool: The student and the teachers. Costs may be missing for a strategy that
            :func:`needs_costs` denies.
        max_teachers: Most teachers of the order, K; at most the pool.

    Raises:
        UserError: No such strategy, an empty list, or as the strategy says.
    """
    if isinstance(strategy, str):
        _check_known(strategy)
        return STRATEGIES[strategy](pool, max_teachers)
    if not strategy:
        raise UserError("order", "the list of teachers is empty", "name at least one teacher")
    return Order.of("explicit", pool, strategy, [Named()])


def needs_costs(strategy: str | Sequence[str]) -> bool:
    """Whether ``strategy``, as in :func:`choose_order`, depends on adaptation costs."""
    return needs_scores(strategy) and strategy not in _WITHOUT_COSTS


def needs_scores(strategy: str | Sequence[str]) -> bool:
    """Whether ``strategy``, as in :func:`choose_order`, depends on the teachers' scores."""
    if not isinstance(strategy, str):
        return False
    _check_known(strategy)
    return True


def _check_known(strategy: str) -> None:
    if strategy not in STRATEGIES:
        raise UserError(
            "order",
            f"there is no order {strategy!r}",
            f"use one of {', '.join(STRATEGIES)}, or a list of teachers",
        )
