"""Backward Greedy Selection, an earlier rule for its candidates, and its order turned round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mtpd.selection.decisions import (
    AsManyAsAllowed,
    Backwards,
    Condition,
    Considered,
    Decision,
    GreedyStep,
    Order,
    StrongestLast,
    Verdict,
)
from mtpd.selection.pool import Pool

BY_COLUMN = (Condition.STRONGER, Condition.NEARER_TO_HEAD)
BETWEEN = (Condition.NEARER_TO_HEAD, Condition.NEARER_TO_STUDENT)


def backward_greedy(pool: Pool, max_teachers: int) -> Order:
    """Backward Greedy Selection (BGS).

    The last teacher is the strongest. Time and again the teacher that adapts to the present head
    at the least cost goes in front of it, among those that are stronger than the student and
    adapt to the head at a lower cost than the student. It ends when there is none, or at
    ``max_teachers``. Ties go to the teacher nearer to the student, then to the first by name.
    Only costs to the same head are compared, as costs to different targets do not compare: 1 − R²
    depends on how predictable a target is by itself. The idea is the paper's; the conditions and
    the end are this project's.

    Raises:
        UserError: A score, the student's included, or a cost is missing or not finite, or
            ``max_teachers`` fits no order.
    """
    pool.check_scores(max_teachers)
    pool.check_student_score()
    return _backward("bgs", pool, max_teachers, BY_COLUMN)


def backward_greedy_between(pool: Pool, max_teachers: int) -> Order:
    """:func:`backward_greedy` by this project's first rule, kept for comparison.

    A candidate is nearer to the head than the student is, and nearer to the student than the head
    is, whatever its score. The second part compares costs to different targets.

    Raises:
        UserError: As :func:`backward_greedy`, but for the student's score.
    """
    pool.check_scores(max_teachers)
    return _backward("bgs-between", pool, max_teachers, BETWEEN)


def reversed_greedy(pool: Pool, max_teachers: int) -> Order:
    """The teachers of :func:`backward_greedy` the other way round: the strongest teaches first.

    Raises:
        UserError: As :func:`backward_greedy`.
    """
    greedy = backward_greedy(pool, max_teachers)
    return Order.of("reversed", pool, greedy.teachers[::-1], [*greedy.decisions, Backwards()])


class _Place(NamedTuple):
    """Where a teacher lies; the first of several is the best."""

    cost_to_head: float
    cost_from_student: float
    teacher: str


def _backward(
    strategy: str, pool: Pool, max_teachers: int, conditions: tuple[Condition, ...]
) -> Order:
    pool.check_costs()
    strongest = StrongestLast.of(pool)
    order = [strongest.chosen]
    decisions: list[Decision] = [strongest]
    while len(order) < max_teachers:
        step = _step(pool, order[0], set(pool.scores) - set(order), conditions)
        decisions.append(step)
        if step.chosen is None:
            break
        order.insert(0, step.chosen)
    else:
        decisions.append(AsManyAsAllowed(max_teachers))
    return Order.of(strategy, pool, order, decisions)


def _step(
    pool: Pool, head: str, left: Iterable[str], conditions: tuple[Condition, ...]
) -> GreedyStep:
    """Which of the teachers that are ``left`` goes in front of ``head``, and why no other."""
    student, costs = pool.student, pool.costs
    limit = costs[student][head]
    places = sorted(_Place(costs[name][head], costs[student][name], name) for name in left)
    failed = {place: _failed(pool, place, limit, conditions) for place in places}
    chosen = next((place for place in places if not failed[place]), None)

    def considered(place: _Place) -> Considered:
        # Whom a difference in cost to the head decided against, and nothing else.
        against = [student] if set(failed[place]) <= {Condition.NEARER_TO_HEAD} else []
        if chosen and place != chosen and not failed[place]:
            against.append(chosen.teacher)
        return Considered(
            place.teacher,
            place.cost_to_head,
            pool.interval(place.teacher, head),
            place.cost_from_student,
            failed[place],
            Verdict.NO_CANDIDATE if failed[place] or not chosen else _verdict(place, chosen),
            tuple(name for name in against if pool.overlap(place.teacher, name, head)),
        )

    return GreedyStep(
        student,
        head,
        conditions,
        limit,
        pool.interval(student, head),
        chosen and chosen.teacher,
        tuple(map(considered, places)),
    )


def _failed(
    pool: Pool, place: _Place, limit: float, conditions: tuple[Condition, ...]
) -> tuple[Condition, ...]:
    """Conditions that a teacher fails before a head that the student is ``limit`` away from."""
    holds = {
        Condition.STRONGER: place.teacher not in pool.no_stronger(),
        Condition.NEARER_TO_HEAD: place.cost_to_head < limit,
        Condition.NEARER_TO_STUDENT: place.cost_from_student < limit,
    }
    return tuple(condition for condition in conditions if not holds[condition])


def _verdict(place: _Place, chosen: _Place) -> Verdict:
    """Which of cost to the head, cost from the student and name decided between the two."""
    if place == chosen:
        return Verdict.CHOSEN
    if place.cost_to_head > chosen.cost_to_head:
        return Verdict.HIGHER_COST
    if place.cost_from_student > chosen.cost_from_student:
        return Verdict.FARTHER_FROM_STUDENT
    return Verdict.LATER_BY_NAME
