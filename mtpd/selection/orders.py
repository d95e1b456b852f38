"""Orders of teachers: Backward Greedy Selection and what it is compared with.

Every strategy takes the student's name, the teachers' validation scores, the adaptation costs
``costs[source][target]`` and the largest number of teachers, and returns an :class:`Order`. The
pool of teachers is the names that have a score. The strongest teacher is the one with the highest
score; where scores tie, the first by name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from math import isfinite, perm
from random import Random
from typing import Any, TypeGuard

from mtpd.errors import UserError

Scores = Mapping[str, float]
Costs = Mapping[str, Mapping[str, float]]

MAX_ORDERS = 20_000
"""More orders than these are not listed by :func:`exhaustive` (8 teachers have 13 700)."""


@dataclass(frozen=True)
class Order:
    """Teachers in the order in which they teach, and why.

    Attributes:
        teachers: First to last.
        strategy: Name of the strategy, ``random`` or ``explicit``.
        jumps: Costs student → first teacher → … → last; empty where a cost is not known.
        trace: Steps that led to the order, ready for JSON; every step has its ``reason`` in words.
    """

    teachers: tuple[str, ...]
    strategy: str
    jumps: tuple[float, ...]
    trace: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """The order as JSON has it, with the two objectives of :func:`minimax`."""
        return {
            "strategy": self.strategy,
            "teachers": list(self.teachers),
            "jumps": list(self.jumps),
            "largest_jump": max(self.jumps, default=None),
            "sum_of_jumps": sum(self.jumps) if self.jumps else None,
            "trace": list(self.trace),
        }


def backward_greedy(student: str, scores: Scores, costs: Costs, max_teachers: int) -> Order:
    """Backward Greedy Selection (BGS).

    The last teacher is the strongest. Time and again the teacher that adapts to the present head
    at the least cost goes in front of it, among those that lie between student and head: nearer
    to the head than the student is, and nearer to the student than the head is. It ends when
    there is none, or at ``max_teachers``. Ties go to the teacher nearer to the student, then to
    the first by name. The idea is the paper's; the test for "between" and the end are ours.

    Raises:
        UserError: A score or cost is missing or not finite, or ``max_teachers`` fits no order.
    """
    _check_scores(student, scores, costs, max_teachers)
    _check_costs(student, scores, costs)
    ranked = _ranked(scores)
    order, trace = ranked[:1], [_strongest_step(scores)]
    while len(order) < max_teachers:
        step = _greedy_step(student, order[0], set(ranked) - set(order), costs)
        trace.append(step)
        if step["chosen"] is None:
            break
        order.insert(0, step["chosen"])
    else:
        trace.append(
            {"chosen": None, "reason": f"the order has {max_teachers}, as many as allowed"}
        )
    return _order("bgs", student, order, costs, trace)


def direct(student: str, scores: Scores, costs: Costs, max_teachers: int) -> Order:
    """The strongest teacher alone. Costs are not needed.

    Raises:
        UserError: A score is missing or not finite, or ``max_teachers`` fits no order.
    """
    _check_scores(student, scores, costs, max_teachers)
    return _order("direct", student, _ranked(scores)[:1], costs, [_strongest_step(scores)])


def ascending(student: str, scores: Scores, costs: Costs, max_teachers: int) -> Order:
    """The ``max_teachers`` strongest teachers by score, weakest of them first.

    Costs are not needed.

    Raises:
        UserError: A score is missing or not finite, or ``max_teachers`` fits no order.
    """
    _check_scores(student, scores, costs, max_teachers)
    ranked = _ranked(scores)
    step = {
        "scores": {name: scores[name] for name in ranked},
        "left_out": ranked[max_teachers:],
        "reason": f"the {max_teachers} highest scores, the lowest of them first",
    }
    return _order("ascending", student, ranked[max_teachers - 1 :: -1], costs, [step])


def minimax(student: str, scores: Scores, costs: Costs, max_teachers: int) -> Order:
    """The order that ends with the strongest teacher and has the smallest largest jump. Exact.

    Among those with the same largest jump it has the smallest sum of jumps, then the fewest
    teachers, then the first names.

    Raises:
        UserError: A score or cost is missing or not finite, or ``max_teachers`` fits no order.
    """
    _check_scores(student, scores, costs, max_teachers)
    _check_costs(student, scores, costs)
    goal = _ranked(scores)[0]

    def shortest(largest: float) -> tuple[str, ...] | None:
        return _shortest_path(student, goal, scores, costs, max_teachers, largest)

    jumps = sorted(
        {costs[one][other] for one in (student, *scores) for other in scores if one != other}
    )
    largest = jumps[bisect_left(jumps, True, key=lambda jump: shortest(jump) is not None)]
    order = shortest(largest)
    assert order is not None
    step = {
        "largest_jump": largest,
        "reason": (
            f"no order of at most {max_teachers} that ends with {goal} has a largest jump below"
            f" {largest:.4g}; of those with this one it has the smallest sum"
        ),
    }
    return _order("minimax", student, order, costs, [_strongest_step(scores), step])


def exhaustive(student: str, scores: Scores, costs: Costs, max_teachers: int) -> Order:
    """The first of all orders that end with the strongest teacher, ranked as by :func:`minimax`.

    The trace has the whole ranking. Orders that end elsewhere are left out: the best of them would
    always be the nearest teacher alone, since a further teacher never lowers the objective.

    Raises:
        UserError: A score or cost is missing or not finite, ``max_teachers`` fits no order, or
            there are more than ``MAX_ORDERS`` orders.
    """
    _check_scores(student, scores, costs, max_teachers)
    _check_costs(student, scores, costs)
    goal, *others = _ranked(scores)
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
    orders.sort(key=lambda order: _objective(student, order, costs))
    ranking = [_ranking_entry(student, order, costs) for order in orders]
    step = {
        "ranking": ranking,
        "reason": (
            f"first of the {count} orders of at most {max_teachers} that end with {goal}, by"
            " largest jump, sum of jumps, number of teachers and names"
        ),
    }
    return _order("exhaustive", student, orders[0], costs, [_strongest_step(scores), step])


def reversed_greedy(student: str, scores: Scores, costs: Costs, max_teachers: int) -> Order:
    """The teachers of :func:`backward_greedy` the other way round: the strongest teaches first.

    Raises:
        UserError: As :func:`backward_greedy`.
    """
    greedy = backward_greedy(student, scores, costs, max_teachers)
    step = {"reason": "the order of bgs, backwards"}
    return _order("reversed", student, greedy.teachers[::-1], costs, [*greedy.trace, step])


def shuffled(
    student: str, teachers: Iterable[str], costs: Costs, max_teachers: int, seed: int
) -> Order:
    """``max_teachers`` of ``teachers`` at random, every order as likely as any other.

    The same names and seed give the same order; neither scores nor costs are needed.
    """
    pool = sorted(teachers)
    drawn = Random(seed).sample(pool, max_teachers)
    step = {"reason": f"{max_teachers} of {len(pool)}, drawn by the seed {seed}"}
    return _order("random", student, drawn, costs, [step])


Strategy = Callable[[str, Scores, Costs, int], Order]

STRATEGIES: dict[str, Strategy] = {
    "bgs": backward_greedy,
    "direct": direct,
    "ascending": ascending,
    "minimax": minimax,
    "exhaustive": exhaustive,
    "reversed": reversed_greedy,
}
"""Strategies by the name that an experiment gives."""

_WITHOUT_COSTS = {"direct", "ascending"}


def choose_order(
    strategy: str | Sequence[str], student: str, scores: Scores, costs: Costs, max_teachers: int
) -> Order:
    """Order by a strategy's name, or a list of teachers as it is.

    Args:
        strategy: A key of ``STRATEGIES``, or teachers first to last: those need neither scores nor
            costs, may repeat, and are not limited by ``max_teachers``.
        student: The student's name, as in ``costs``.
        scores: Score of every teacher of the pool, the higher the better.
        costs: ``costs[source][target]``; may be empty for a strategy that :func:`needs_costs`
            denies.
        max_teachers: Most teachers of the order, K; at most the pool.

    Raises:
        UserError: No such strategy, an empty list, or as the strategy says.
    """
    if isinstance(strategy, str):
        _check_known(strategy)
        return STRATEGIES[strategy](student, scores, costs, max_teachers)
    if not strategy:
        raise UserError("order", "the list of teachers is empty", "name at least one teacher")
    step = {"reason": "the teachers were named in this order"}
    return _order("explicit", student, strategy, costs, [step])


def needs_costs(strategy: str | Sequence[str]) -> bool:
    """Whether ``strategy``, as in :func:`choose_order`, depends on adaptation costs."""
    return needs_scores(strategy) and strategy not in _WITHOUT_COSTS


def needs_scores(strategy: str | Sequence[str]) -> bool:
    """Whether ``strategy``, as in :func:`choose_order`, depends on the teachers' scores."""
    if not isinstance(strategy, str):
        return False
    _check_known(strategy)
    return True


def _order(
    strategy: str,
    student: str,
    teachers: Sequence[str],
    costs: Costs,
    trace: Iterable[dict[str, Any]],
) -> Order:
    path = [student, *teachers]
    known = all(_is_finite(costs.get(one, {}).get(other)) for one, other in pairwise(path))
    jumps = _jumps(student, teachers, costs) if known else ()
    return Order(tuple(teachers), strategy, jumps, tuple(trace))


def _jumps(student: str, order: Sequence[str], costs: Costs) -> tuple[float, ...]:
    return tuple(costs[one][other] for one, other in pairwise([student, *order]))


def _objective(
    student: str, order: tuple[str, ...], costs: Costs
) -> tuple[float, float, int, tuple[str, ...]]:
    jumps = _jumps(student, order, costs)
    return max(jumps), sum(jumps), len(order), order


def _ranking_entry(student: str, order: tuple[str, ...], costs: Costs) -> dict[str, Any]:
    largest, total, _, _ = _objective(student, order, costs)
    return {"teachers": list(order), "largest_jump": largest, "sum_of_jumps": total}


def _ranked(scores: Scores) -> list[str]:
    """Teachers by score, strongest first."""
    return sorted(scores, key=lambda name: (-scores[name], name))


def _strongest_step(scores: Scores) -> dict[str, Any]:
    ranked = _ranked(scores)
    tied = [name for name in ranked[1:] if scores[name] == scores[ranked[0]]]
    also = f", as {' and '.join(tied)} has, and the first by name" if tied else ""
    return {
        "chosen": ranked[0],
        "scores": {name: scores[name] for name in ranked},
        "reason": f"{ranked[0]} is the last teacher: it has the highest score{also}",
    }


def _greedy_step(student: str, head: str, pool: Iterable[str], costs: Costs) -> dict[str, Any]:
    """One step of BGS: which of ``pool`` goes in front of ``head``, and why not the others."""
    limit = costs[student][head]

    def distances(teacher: str) -> tuple[float, float, str]:
        return costs[teacher][head], costs[student][teacher], teacher

    nearest = sorted(pool, key=distances)
    between = [t for t in nearest if costs[t][head] < limit and costs[student][t] < limit]
    chosen = between[0] if between else None
    teachers = []
    for teacher in nearest:
        to_head, from_student, _ = distances(teacher)
        if chosen is None or teacher not in between:
            reason = _why_not_between(student, head, to_head < limit, from_student < limit)
        elif teacher == chosen:
            reason = f"chosen: adapts to {head} at the least cost of those between"
        else:
            reason = _why_not_chosen(student, head, distances(teacher), distances(chosen))
        teachers.append(
            {
                "teacher": teacher,
                "cost_to_head": to_head,
                "cost_from_student": from_student,
                "candidate": teacher in between,
                "reason": reason,
            }
        )
    if chosen is not None:
        conclusion = f"{chosen} teaches before {head}"
    elif teachers:
        conclusion = f"no teacher lies between {student} and {head}"
    else:
        conclusion = "no teacher is left"
    return {
        "head": head,
        "chosen": chosen,
        "cost_student_to_head": limit,
        "teachers": teachers,
        "reason": conclusion,
    }


def _why_not_between(student: str, head: str, near_head: bool, near_student: bool) -> str:
    reasons = []
    if not near_head:
        reasons.append(f"no nearer to {head} than {student} is")
    if not near_student:
        reasons.append(f"no nearer to {student} than {head} is")
    return f"not between: {' and '.join(reasons)}"


def _why_not_chosen(
    student: str, head: str, own: tuple[float, float, str], chosen: tuple[float, float, str]
) -> str:
    """Which of cost to the head, cost from the student and name decided."""
    if own[0] > chosen[0]:
        return f"between, but adapts to {head} at a higher cost than {chosen[2]}"
    if own[1] > chosen[1]:
        return f"between and as near to {head} as {chosen[2]}, but farther from {student}"
    return f"between and as near as {chosen[2]}, which comes first by name"


def _shortest_path(
    student: str, goal: str, pool: Iterable[str], costs: Costs, max_teachers: int, largest: float
) -> tuple[str, ...] | None:
    """Order student → … → ``goal`` without jumps above ``largest`` that has the smallest sum.

    By the number of teachers, the best order that ends at each teacher follows from the best with
    one teacher fewer (Bellman and Ford). As no cost is negative, the first of the best orders by
    sum and number names no teacher twice.
    """
    names = sorted(pool)
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


def _check_known(strategy: str) -> None:
    if strategy not in STRATEGIES:
        raise UserError(
            "order",
            f"{strategy!r} is no strategy",
            f"use one of {', '.join(STRATEGIES)}, or a list of teachers",
        )


def _check_scores(student: str, scores: Scores, costs: Costs, max_teachers: int) -> None:
    if not scores:
        raise UserError("order", "there is no teacher to choose from", "name at least one teacher")
    if student in scores:
        raise UserError("order", f"{student} is student and teacher", "name another teacher")
    for name in scores:
        if not _is_finite(scores[name]):
            raise UserError(
                "order", f"score of {name} is {scores[name]}", "every teacher needs a finite score"
            )
    unscored = sorted(costs.keys() - scores.keys() - {student})
    if unscored:
        raise UserError(
            "order", f"{unscored[0]} has costs but no score", "evaluate it, or leave it out"
        )
    if not 1 <= max_teachers <= len(scores):
        raise UserError(
            "order",
            f"max_teachers is {max_teachers} for a pool of {len(scores)}",
            f"give 1 to {len(scores)}",
        )


def _check_costs(student: str, scores: Scores, costs: Costs) -> None:
    for source in (student, *scores):
        for target in scores:
            cost = costs.get(source, {}).get(target)
            if source != target and not (_is_finite(cost) and cost >= 0):
                found = "is missing" if cost is None else f"is {cost}"
                raise UserError(
                    "order",
                    f"cost {source} → {target} {found}",
                    "every pair needs a finite cost of 0 or more",
                )


def _is_finite(value: float | None) -> TypeGuard[float]:
    return isinstance(value, int | float) and isfinite(value)
