"""Time left of a run, on cases worked out by hand."""

from __future__ import annotations

import pytest

from mtpd.estimation.estimate import PricedJob
from mtpd.estimation.remaining import Capacity, Pace, seconds_left
from mtpd.experiment.recipes import Task


def job(name: str, seconds: float, *after: PricedJob, threads: int = 1, gpus: int = 0) -> PricedJob:
    return PricedJob(Task("train", (name,)), None, seconds, after=after, threads=threads, gpus=gpus)


A, B = job("a", 10), job("b", 4)
C = job("c", 5, A, B)
WIDE = job("wide", 3, threads=8)
ON_GPU = [job(name, 2, gpus=1) for name in "def"]


@pytest.mark.parametrize(
    ("jobs", "capacity", "seconds"),
    [
        ([], Capacity(), 0),
        ([A, B, C], Capacity(), 15),  # a and b together, then c
        ([A, B, C], Capacity(cores=1), 19),
        ([A, B, C], Capacity(jobs=1), 19),
        ([C, B, A], Capacity(cores=2), 15),
        ([C], Capacity(), 5),  # what it waits for is done
        ([WIDE, B], Capacity(cores=4), 7),  # as many threads as there are, and nothing beside
        (ON_GPU, Capacity(gpus=2), 4),
        (ON_GPU, Capacity(gpus=0), 2),  # a machine without GPUs holds none back
    ],
)
def test_jobs_start_as_soon_as_there_is_room(
    jobs: list[PricedJob], capacity: Capacity, seconds: float
) -> None:
    assert seconds_left(jobs, lambda one: one.seconds, capacity) == seconds


def test_what_runs_keeps_its_room() -> None:
    # Not a, which comes first: b has started, and c waits for both.
    assert seconds_left([A, B, C], lambda one: one.seconds, Capacity(cores=1), [B]) == 19
    assert seconds_left([A, B], {A: 10, B: 1}.__getitem__, Capacity(cores=1), [B]) == 11
    # More than there is room for by now, as where the limits were lowered.
    assert seconds_left([A, B], lambda one: one.seconds, Capacity(cores=1), [A, B]) == 10


def test_the_pace_of_a_rule_is_its_own_or_that_of_its_kind() -> None:
    pace = Pace()
    assert pace.of("train") == 1
    pace.note("train", 10, 20)
    pace.note("train", 10, 40)
    pace.note("evaluate_detector", 4, 2)
    assert (pace.of("train"), pace.of("stage")) == (3, 3)
    assert (pace.of("evaluate_detector"), pace.of("features")) == (0.5, 0.5)
    pace.note("stage", 10, 10)
    assert (pace.of("train"), pace.of("stage")) == (3, 1)
