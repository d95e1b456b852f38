"""What strategies choose from: the student, the teachers with their scores, and the costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TypeGuard

from mtpd.errors import UserError

Interval = tuple[float, float]
Costs = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Pool:
    """The student, the teachers that it may learn from, and what was measured of them.

    Attributes:
        student: The student's name.
        scores: Score of every teacher, the higher the better.
        costs: ``costs[source][target]`` between all detectors; empty where a strategy needs none.
        student_score: The student's own score; None: not measured.
        intervals: ``intervals[source][target]`` around the costs; empty: not known.
    """

    student: str
    scores: Mapping[str, float]
    costs: Costs = field(default_factory=dict)
    student_score: float | None = None
    intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)

    def ranked(self) -> list[str]:
        """Teachers by score, strongest first; where scores tie, by name."""
        return sorted(self.scores, key=lambda name: (-self.scores[name], name))

    def by_rank(self) -> dict[str, float]:
        """The scores, highest first."""
        return {name: self.scores[name] for name in self.ranked()}

    def no_stronger(self) -> tuple[str, ...]:
        """Teachers that score no higher than the student, strongest first."""
        limit = self.student_score
        return tuple(n for n in self.ranked() if limit is not None and self.scores[n] <= limit)

    def interval(self, source: str, target: str) -> Interval | None:
        """The interval around the cost from ``source`` to ``target``; None: not known."""
        return self.intervals.get(source, {}).get(target)

    def overlap(self, one: str, other: str, target: str) -> bool:
        """Whether the intervals around the costs of two detectors to ``target`` overlap."""
        first, second = self.interval(one, target), self.interval(other, target)
        return (
            first is not None
            and second is not None
            and first[0] <= second[1]
            and second[0] <= first[1]
        )

    def check_scores(self, max_teachers: int) -> None:
        """Refuse a pool that no strategy can choose from.

        Raises:
            UserError: It is empty, has the student in it, or has a teacher without a finite score;
                or no order can have ``max_teachers``.
        """
        if not self.scores:
            problem = "there is no teacher to choose from"
            raise UserError("order", problem, "name at least one teacher")
        if self.student in self.scores:
            problem = f"{self.student} is student and teacher"
            raise UserError("order", problem, "name another teacher")
        for name, score in self.scores.items():
            if not is_finite(score):
                problem = f"score of {name} is {score}"
                raise UserError("order", problem, "every teacher needs a finite score")
        unscored = sorted(self.costs.keys() - self.scores.keys() - {self.student})
        if unscored:
            problem = f"{unscored[0]} has costs but no score"
            raise UserError("order", problem, "evaluate it, or leave it out")
        if not 1 <= max_teachers <= len(self.scores):
            problem = f"max_teachers is {max_teachers} for a pool of {len(self.scores)}"
            raise UserError("order", problem, f"give 1 to {len(self.scores)}")

    def check_student_score(self) -> None:
        """Refuse a student without score.

        Raises:
            UserError: It has no finite score.
        """
        if not is_finite(self.student_score):
            problem = f"score of {self.student} is {self.student_score}"
            raise UserError("order", problem, "the student needs a finite score")

    def check_costs(self) -> None:
        """Refuse costs that leave an order open.

        Raises:
            UserError: A cost from student or teacher to a teacher is missing, negative or not
                finite.
        """
        for source in (self.student, *self.scores):
            for target in self.scores:
                cost = self.costs.get(source, {}).get(target)
                if source != target and not (is_finite(cost) and cost >= 0):
                    found = "is missing" if cost is None else f"is {cost}"
                    raise UserError(
                        "order",
                        f"cost {source} → {target} {found}",
                        "every pair needs a finite cost of 0 or more",
                    )


def is_finite(value: float | None) -> TypeGuard[float]:
    """Whether ``value`` is a number, and neither NaN nor infinite."""
    return isinstance(value, int | float) and isfinite(value)
