"""Backward Greedy Selection, and its order the other way round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mtpd.selection.decisions import (
    AsManyAsAllowed,
    Backwards,
    Considered,
    Costs,
    Decision,
    GreedyStep,
    Order,
    Scores,
    Verdict,
)
from mtpd.selection.pool import check_costs, check_scores, strongest_last


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
    check_scores(student, scores, costs, max_teachers)
    check_costs(student, scores, costs)
    strongest = strongest_last(scores)
    order = [strongest.chosen]
    decisions: list[Decision] = [strongest]
    while len(order) < max_teachers:
        step = _step(student, order[0], set(scores) - set(order), costs)
        decisions.append(step)
        if step.chosen is None:
            break
        order.insert(0, step.chosen)
    else:
        decisions.append(AsManyAsAllowed(max_teachers))
    return Order.of("bgs", student, order, costs, decisions)


def reversed_greedy(student: str, scores: Scores, costs: Costs, max_teachers: int) -> Order:
    """The teachers of :func:`backward_greedy` the other way round: the strongest teaches first.

    Raises:
        UserError: As :func:`backward_greedy`.
    """
    greedy = backward_greedy(student, scores, costs, max_teachers)
    decisions = [*greedy.decisions, Backwards()]
    return Order.of("reversed", student, greedy.teachers[::-1], costs, decisions)


class _Place(NamedTuple):
    """Where a teacher lies; the first of several is the best."""

    cost_to_head: float
    cost_from_student: float
    teacher: str


def _step(student: str, head: str, pool: Iterable[str], costs: Costs) -> GreedyStep:
    """Which of ``pool`` goes in front of ``head``, and why not the others."""
    limit = costs[student][head]
    places = sorted(_Place(costs[name][head], costs[student][name], name) for name in pool)
    between = [p for p in places if p.cost_to_head < limit and p.cost_from_student < limit]
    chosen = between[0] if between else None
    considered = (
        Considered(
            place.teacher,
            place.cost_to_head,
            place.cost_from_student,
            _verdict(place, chosen) if chosen and place in between else _why_not(place, limit),
        )
        for place in places
    )
    return GreedyStep(student, head, limit, chosen and chosen.teacher, tuple(considered))


def _verdict(place: _Place, chosen: _Place) -> Verdict:
    """Which of cost to the head, cost from the student and name decided between the two."""
    if place == chosen:
        return Verdict.CHOSEN
    if place.cost_to_head > chosen.cost_to_head:
        return Verdict.HIGHER_COST
    if place.cost_from_student > chosen.cost_from_student:
        return Verdict.FARTHER_FROM_STUDENT
    return Verdict.LATER_BY_NAME


def _why_not(place: _Place, limit: float) -> Verdict:
    """Why a teacher does not lie between student and head, which are ``limit`` apart."""
    if place.cost_to_head < limit:
        return Verdict.NOT_NEARER_TO_STUDENT
    if place.cost_from_student < limit:
        return Verdict.NOT_NEARER_TO_HEAD
    return Verdict.NEARER_TO_NEITHER
