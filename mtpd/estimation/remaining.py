"""How much time is left of a run: the jobs' prices, corrected by what jobs have taken so far."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mtpd.estimation.estimate import PricedJob

TRAININGS = ("train", "stage")


@dataclass(frozen=True)
class Capacity:
    """What jobs may use together; infinity: as much as they want."""

    cores: float = math.inf
    gpus: float = math.inf
    jobs: float = math.inf


@dataclass
class Pace:
    """How long jobs have taken, against their prices.

    A rule that has not been seen yet goes at the pace of the others of its kind: trainings, or the
    rest, most of whose time goes into starting.
    """

    _seen: dict[str, tuple[float, float]] = field(default_factory=dict)

    def note(self, rule: str, priced: float, took: float) -> None:
        """A job of ``rule`` whose price was ``priced`` seconds took ``took``."""
        before = self._seen.get(rule, (0.0, 0.0))
        self._seen[rule] = (before[0] + priced, before[1] + took)

    def of(self, rule: str) -> float:
        """What the price of a job of ``rule`` is multiplied by."""
        is_training = rule in TRAININGS
        like = [seen for name, seen in self._seen.items() if (name in TRAININGS) == is_training]
        chosen = [self._seen[rule]] if rule in self._seen else like
        priced = sum(one for one, _ in chosen)
        return sum(took for _, took in chosen) / priced if priced > 0 else 1.0


def seconds_left(
    jobs: Sequence[PricedJob],
    left: Callable[[PricedJob], float],
    capacity: Capacity,
    running: Iterable[PricedJob] = (),
) -> float:
    """Seconds until all jobs are done, if each starts as soon as there is room for it.

    Args:
        jobs: Those that are left, in an order in which they may start; inputs may be among them.
        left: Seconds that a job still takes.
        capacity: What they may use together.
        running: Jobs that have started already; they need not wait for room.
    """
    waits, feeds = _graph(jobs)
    room, now = _Room(capacity), 0.0
    ends: list[tuple[float, int, PricedJob]] = []

    def start(job: PricedJob) -> None:
        room.take(job)
        heapq.heappush(ends, (now + left(job), id(job), job))

    started = {job for job in running if job in waits}
    for job in started:
        start(job)
    ready = [job for job in jobs if not waits[job] and job not in started]
    while ready or ends:
        waiting = []
        for job in ready:
            if room.has(job):
                start(job)
            else:
                waiting.append(job)
        now, _, ended = heapq.heappop(ends)
        room.give_back(ended)
        ready = waiting
        for job in feeds.get(ended, ()):
            waits[job].discard(ended)
            if not waits[job] and job not in started:
                ready.append(job)
    return now


def _graph(
    jobs: Sequence[PricedJob],
) -> tuple[dict[PricedJob, set[PricedJob]], dict[PricedJob, list[PricedJob]]]:
    """What each of ``jobs`` waits for among them, and what waits for it."""
    known = set(jobs)
    waits = {job: known.intersection(job.after) for job in jobs}
    feeds: dict[PricedJob, list[PricedJob]] = {}
    for job, others in waits.items():
        for other in others:
            feeds.setdefault(other, []).append(job)
    return waits, feeds


class _Room:
    """What is not used now. A job that asks for more than there is at all gets all of it."""

    def __init__(self, capacity: Capacity) -> None:
        self._all = (capacity.cores, capacity.gpus, capacity.jobs)
        self._free = list(self._all)

    def has(self, job: PricedJob) -> bool:
        return all(free >= asked for free, asked in zip(self._free, self._asked(job), strict=True))

    def take(self, job: PricedJob) -> None:
        self._free = [
            free - asked for free, asked in zip(self._free, self._asked(job), strict=True)
        ]

    def give_back(self, job: PricedJob) -> None:
        self._free = [
            free + asked for free, asked in zip(self._free, self._asked(job), strict=True)
        ]

    def _asked(self, job: PricedJob) -> tuple[float, ...]:
        wanted = (job.threads, job.gpus, 1)
        return tuple(min(one, limit) for one, limit in zip(wanted, self._all, strict=True))
