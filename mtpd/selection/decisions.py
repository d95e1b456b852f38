"""What strategies decide: orders of teachers, and the numbers that led to them.

Nothing here is in words; :mod:`mtpd.reporting.orders` finds these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise
from math import isfinite
from typing import TypeGuard

Scores = Mapping[str, float]
Costs = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class StrongestLast:
    """The strongest teacher teaches last.

    Attributes:
        chosen: The strongest.
        tied: Others with the same score, which come later by name.
        scores: Of all teachers, highest first.
    """

    chosen: str
    tied: tuple[str, ...]
    scores: Scores


class Verdict(Enum):
    """Why a step of Backward Greedy Selection takes a teacher, or does not."""

    CHOSEN = auto()
    HIGHER_COST = auto()
    """Between student and head, but adapts to the head at a higher cost than the chosen one."""
    FARTHER_FROM_STUDENT = auto()
    """Between and as near to the head as the chosen one, but farther from the student."""
    LATER_BY_NAME = auto()
    """Between and as near to both as the chosen one."""
    NOT_NEARER_TO_HEAD = auto()
    """Not between: no nearer to the head than the student is."""
    NOT_NEARER_TO_STUDENT = auto()
    """Not between: no nearer to the student than the head is."""
    NEARER_TO_NEITHER = auto()
    """Not between for both reasons."""


CANDIDATES = (
    Verdict.CHOSEN,
    Verdict.HIGHER_COST,
    Verdict.FARTHER_FROM_STUDENT,
    Verdict.LATER_BY_NAME,
)
"""Verdicts on teachers that lie between student and head."""


@dataclass(frozen=True)
class Considered:
    """A teacher that a step of Backward Greedy Selection had to choose from."""

    teacher: str
    cost_to_head: float
    cost_from_student: float
    verdict: Verdict

    @property
    def is_candidate(self) -> bool:
        """Whether it lies between student and head."""
        return self.verdict in CANDIDATES


@dataclass(frozen=True)
class GreedyStep:
    """A step of Backward Greedy Selection: which teacher goes in front of the present head.

    Attributes:
        student: Its name.
        head: First teacher of the order so far.
        cost_student_to_head: What a teacher between the two must be below.
        chosen: The teacher; None: none lies between.
        teachers: All that were left, the nearest to the head first.
    """

    student: str
    head: str
    cost_student_to_head: float
    chosen: str | None
    teachers: tuple[Considered, ...]


@dataclass(frozen=True)
class AsManyAsAllowed:
    """Backward Greedy Selection ended because the order has ``max_teachers``."""

    max_teachers: int


@dataclass(frozen=True)
class HighestScores:
    """The ``max_teachers`` highest scores, the lowest of them first.

    Attributes:
        max_teachers: Their number.
        scores: Of all teachers, highest first.
        left_out: Teachers whose scores were too low.
    """

    max_teachers: int
    scores: Scores
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class SmallestLargestJump:
    """No order has a smaller largest jump, and none of those with this one a smaller sum.

    Attributes:
        goal: The teacher that all orders end with.
        max_teachers: Most teachers of an order.
        largest_jump: Of the order.
    """

    goal: str
    max_teachers: int
    largest_jump: float


@dataclass(frozen=True)
class Ranked:
    """One of all possible orders, with what it is ranked by."""

    teachers: tuple[str, ...]
    largest_jump: float
    sum_of_jumps: float


@dataclass(frozen=True)
class FirstOfAll:
    """The first of all possible orders.

    Attributes:
        goal: The teacher that all of them end with.
        max_teachers: Most teachers of an order.
        ranking: All of them, the best first.
    """

    goal: str
    max_teachers: int
    ranking: tuple[Ranked, ...]


@dataclass(frozen=True)
class Backwards:
    """The order of Backward Greedy Selection was turned round."""


@dataclass(frozen=True)
class Drawn:
    """Teachers were drawn at random: ``number`` of ``pool`` by ``seed``."""

    number: int
    pool: int
    seed: int


@dataclass(frozen=True)
class Named:
    """The teachers were named in this order."""


Decision = (
    StrongestLast
    | GreedyStep
    | AsManyAsAllowed
    | HighestScores
    | SmallestLargestJump
    | FirstOfAll
    | Backwards
    | Drawn
    | Named
)


@dataclass(frozen=True)
class Order:
    """Teachers in the order in which they teach, and why.

    Attributes:
        teachers: First to last.
        strategy: Name of the strategy, ``random`` or ``explicit``.
        jumps: Costs student → first teacher → … → last; empty where a cost is not known.
        decisions: That led to the order, one after the other.
    """

    teachers: tuple[str, ...]
    strategy: str
    jumps: tuple[float, ...]
    decisions: tuple[Decision, ...]

    @classmethod
    def of(
        cls,
        strategy: str,
        student: str,
        teachers: Sequence[str],
        costs: Costs,
        decisions: Sequence[Decision],
    ) -> Order:
        """With its jumps, where ``costs`` has all of them."""
        path = [student, *teachers]
        known = all(is_finite(costs.get(one, {}).get(other)) for one, other in pairwise(path))
        jumps = jumps_of(student, teachers, costs) if known else ()
        return cls(tuple(teachers), strategy, jumps, tuple(decisions))

    @property
    def largest_jump(self) -> float | None:
        """The first objective of minimax; None where the jumps are not known."""
        return max(self.jumps, default=None)

    @property
    def sum_of_jumps(self) -> float | None:
        """The second; None where the jumps are not known."""
        return sum(self.jumps) if self.jumps else None


def jumps_of(student: str, teachers: Sequence[str], costs: Costs) -> tuple[float, ...]:
    """Costs student → first teacher → … → last."""
    return tuple(costs[one][other] for one, other in pairwise([student, *teachers]))


def is_finite(value: float | None) -> TypeGuard[float]:
    """Whether ``value`` is a number, and neither NaN nor infinite."""
    return isinstance(value, int | float) and isfinite(value)
