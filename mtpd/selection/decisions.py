"""What strategies decide: orders of teachers, and the numbers that led to them.

Nothing here is in words; :mod:`mtpd.reporting.orders` finds these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise

from mtpd.selection.pool import Costs, Interval, Pool, is_finite


@dataclass(frozen=True)
class StrongestLast:
    """The strongest teacher teaches last.

    Attributes:
        chosen: The strongest.
        tied: Others with the same score, which come later by name.
        pool: All teachers.
    """

    chosen: str
    tied: tuple[str, ...]
    pool: Pool

    @classmethod
    def of(cls, pool: Pool) -> StrongestLast:
        """The strongest of ``pool``."""
        strongest, *others = pool.ranked()
        tied = tuple(name for name in others if pool.scores[name] == pool.scores[strongest])
        return cls(strongest, tied, pool)


class Condition(Enum):
    """What a step of Backward Greedy Selection asks of a candidate."""

    STRONGER = auto()
    """Its score is above the student's."""
    NEARER_TO_HEAD = auto()
    """It adapts to the head at a lower cost than the student."""
    NEARER_TO_STUDENT = auto()
    """The student adapts to it at a lower cost than to the head."""


class Verdict(Enum):
    """What a step of Backward Greedy Selection makes of a teacher."""

    CHOSEN = auto()
    HIGHER_COST = auto()
    """A candidate, but it adapts to the head at a higher cost than the chosen one."""
    FARTHER_FROM_STUDENT = auto()
    """A candidate, as near to the head as the chosen one, but farther from the student."""
    LATER_BY_NAME = auto()
    """A candidate, as near to both as the chosen one."""
    NO_CANDIDATE = auto()
    """It fails a condition."""


@dataclass(frozen=True)
class Considered:
    """A teacher that a step of Backward Greedy Selection had to choose from.

    Attributes:
        teacher: Its name.
        cost_to_head: Of its features, to the head's.
        interval: Around ``cost_to_head``; None: not known.
        cost_from_student: Of the student's features, to the teacher's.
        failed: Conditions that it fails; empty for a candidate.
        verdict: What came of it.
        draws: The student or the chosen teacher, where the difference of costs to the head was
            decisive but is inside the sampling error: the intervals around the two overlap.
    """

    teacher: str
    cost_to_head: float
    interval: Interval | None
    cost_from_student: float
    failed: tuple[Condition, ...]
    verdict: Verdict
    draws: tuple[str, ...]

    @property
    def is_candidate(self) -> bool:
        """Whether it fails no condition."""
        return not self.failed


@dataclass(frozen=True)
class GreedyStep:
    """A step of Backward Greedy Selection: which teacher goes in front of the present head.

    Attributes:
        student: Its name.
        head: First teacher of the order so far.
        conditions: That a candidate has to meet.
        cost_student_to_head: What a candidate must be below.
        interval: Around it; None: not known.
        chosen: The teacher; None: there is no candidate.
        teachers: All that were left, the nearest to the head first.
    """

    student: str
    head: str
    conditions: tuple[Condition, ...]
    cost_student_to_head: float
    interval: Interval | None
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
        pool: All teachers.
        left_out: Teachers whose scores were too low.
    """

    max_teachers: int
    pool: Pool
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
        cls, strategy: str, pool: Pool, teachers: Sequence[str], decisions: Sequence[Decision]
    ) -> Order:
        """With its jumps, where the costs of ``pool`` have all of them."""
        path, costs = [pool.student, *teachers], pool.costs
        known = all(is_finite(costs.get(one, {}).get(other)) for one, other in pairwise(path))
        jumps = jumps_of(pool.student, teachers, costs) if known else ()
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
