"""The pool of teachers: its ranking, and what a strategy asks of its scores and costs."""

from __future__ import annotations

from mtpd.errors import UserError
from mtpd.selection.decisions import Costs, Scores, StrongestLast, is_finite


def ranked(scores: Scores) -> list[str]:
    """Teachers by score, strongest first; where scores tie, by name."""
    return sorted(scores, key=lambda name: (-scores[name], name))


def by_rank(scores: Scores) -> dict[str, float]:
    """The scores, highest first."""
    return {name: scores[name] for name in ranked(scores)}


def strongest_last(scores: Scores) -> StrongestLast:
    """The decision that the strongest teacher teaches last."""
    strongest, *others = ranked(scores)
    tied = tuple(name for name in others if scores[name] == scores[strongest])
    return StrongestLast(strongest, tied, by_rank(scores))


def check_scores(student: str, scores: Scores, costs: Costs, max_teachers: int) -> None:
    """Refuse a pool that no strategy can choose from.

    Raises:
        UserError: It is empty, has the student in it, or has a teacher without a finite score; or
            no order can have ``max_teachers``.
    """
    if not scores:
        raise UserError("order", "there is no teacher to choose from", "name at least one teacher")
    if student in scores:
        raise UserError("order", f"{student} is student and teacher", "name another teacher")
    for name in scores:
        if not is_finite(scores[name]):
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


def check_costs(student: str, scores: Scores, costs: Costs) -> None:
    """Refuse costs that leave an order open.

    Raises:
        UserError: A cost from student or teacher to a teacher is missing, negative or not finite.
    """
    for source in (student, *scores):
        for target in scores:
            cost = costs.get(source, {}).get(target)
            if source != target and not (is_finite(cost) and cost >= 0):
                found = "is missing" if cost is None else f"is {cost}"
                raise UserError(
                    "order",
                    f"cost {source} → {target} {found}",
                    "every pair needs a finite cost of 0 or more",
                )
