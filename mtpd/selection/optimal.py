"""Orders that no other surpasses: the smallest largest jump, found directly or among all orders.

Both compare costs to different targets, by their nature. Such costs compare only roughly, as 1 − R²
depends on how predictable a target is by itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import permutations
from math import perm

from mtpd.errors import UserError
from mtpd.selection.decisions import (
    FirstOfAll,
    Order,
    Ranked,
    SmallestLargestJump,
    StrongestLast,
    jumps_of,
)
from mtpd.selection.pool import Costs, Pool

MAX_ORDERS = 20_000
"""More orders than these are not listed by :func:`exhaustive` (8 teachers have 13 700)."""


def minimax(pool: Pool, max_teachers: int) -> Order:
    """The order that ends with the strongest teacher and has the smallest largest jump. Exact.

    Among those with the same largest jump it has the smallest sum of jumps, then the fewest
    teachers, then the first names.

    Raises:
        UserError: A score or cost is missing or not finite, or ``max_teachers`` fits no order.
    """
    pool.check_scores(max_teachers)
    pool.check_costs()
    student, scores, costs = pool.student, pool.scores, pool.costs
    goal = pool.ranked()[0]

    def shortest(largest: float) -> tuple[str, ...] | None:
        return _shortest_path(student, goal, scores, costs, max_teachers, largest)

    jumps = sorted(
        {costs[one][other] for one in (student, *scores) for other in scores if one != other}
    )
    largest = jumps[bisect_left(jumps, True, key=lambda jump: shortest(jump) is not None)]
    order = shortest(largest)
    assert order is not None
    decisions = StrongestLast.of(pool), SmallestLargestJump(goal, max_teachers, largest)
    return Order.of("minimax", pool, order, decisions)


def exhaustive(pool: Pool, max_teachers: int) -> Order:
    """The first of all orders that end with the strongest teacher, ranked as by :func:`minimax`.

    The decision has the whole ranking. Orders that end elsewhere are left out: the best of them
    would always be the nearest teacher alone, since a further teacher never lowers the objective.

    Raises:
        UserError: A score or cost is missing or not finite, ``max_teachers`` fits no order, or
            there are more than ``MAX_ORDERS`` orders.
    """
    pool.check_scores(max_teachers)
    pool.check_costs()
    goal, *others = pool.ranked()
    count = sum(perm(len(others), before) for before in range(max_teachers))
    if count > MAX_ORDERS:
        raise UserError(
            "order",
            f"exhaustive would list {count} orders, more than {MAX_ORDERS}",
            "lower max_teachers, or use minimax, which finds the first of them without a list",
        )
    orders = [
        (*before, goal) for number in range(max_teachers) for before in permutations(others, number)
    ]
    ranking = sorted((_entry(pool.student, order, pool.costs) for order in orders), key=_rank)
    decisions = StrongestLast.of(pool), FirstOfAll(goal, max_teachers, tuple(ranking))
    return Order.of("exhaustive", pool, ranking[0].teachers, decisions)


def _entry(student: str, order: tuple[str, ...], costs: Costs) -> Ranked:
    jumps = jumps_of(student, order, costs)
    return Ranked(order, max(jumps), sum(jumps))


def _rank(entry: Ranked) -> tuple[float, float, int, tuple[str, ...]]:
    return entry.largest_jump, entry.sum_of_jumps, len(entry.teachers), entry.teachers


def _shortest_path(
    student: str,
    goal: str,
    teachers: Iterable[str],
    costs: Costs,
    max_teachers: int,
    largest: float,
) -> tuple[str, ...] | None:
    """Order student → … → ``goal`` without jumps above ``largest`` that has the smallest sum.

    By the number of teachers, the best order that ends at each teacher follows from the best with
    one teacher fewer (Bellman and Ford). As no cost is negative, the first of the best orders by
    sum and number names no teacher twice.
    """
    names = sorted(teachers)
    best: dict[str, tuple[float, tuple[str, ...]]] = {
        name: (costs[student][name], (name,)) for name in names if costs[student][name] <= largest
    }
    found = []
    for number in range(1, max_teachers + 1):
        if goal in best:
            total, order = best[goal]
            found.append((total, number, order))
        longer = {}
        for name in names:
            options = [
                (total + costs[last][name], (*order, name))
                for last, (total, order) in best.items()
                if last != name and costs[last][name] <= largest
            ]
            if options:
                longer[name] = min(options)
        best = longer
    return min(found)[2] if found else None
