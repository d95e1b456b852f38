"""What an experiment has found, in two sentences that say no more than the numbers do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtpd.reporting.page.content import Finding, Model, Role

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measured:
    """What was measured of a model.

    Attributes:
        name: Of the run or detector.
        teachers: That have taught it, in order.
        ap: Seed → AP in percent; None: not measured.
        epochs: That it was trained for, teachers or none; None: not known.
    """

    name: str
    teachers: tuple[str, ...]
    ap: Mapping[int, float | None]
    epochs: int | None = None

    @property
    def values(self) -> list[float]:
        """AP of the seeds that were measured."""
        return [value for value in self.ap.values() if value is not None]

    @property
    def mean(self) -> float | None:
        """Mean AP over seeds."""
        return float(np.mean(self.values)) if self.values else None


def find(student: str, split: str, measured: Mapping[Role, Measured], score: str = "AP") -> Finding:
    """The two sentences, and the figures that stand beside them.

    Args:
        student: Its name.
        split: That is reported.
        measured: What there is, by role.
        score: Name of the figure, as the table has it.
    """
    figures = tuple(
        (Model(role, one.name), shown(one.mean), _detail(one))
        for role in ("baseline", "alone", "direct", "progressive", "teacher")
        if (one := measured.get(role)) is not None
    )
    return Finding(
        (_first(student, split, measured, score), _second(measured, score)), figures, score
    )


def shown(value: float | None) -> str:
    """A value with one decimal, or that there is none."""
    return "not measured" if value is None else f"{value:.1f}"


def _detail(one: Measured) -> str:
    parts = []
    if len(one.values) > 1:
        parts.append(f"± {np.std(one.values, ddof=1):.1f} over {len(one.values)} seeds")
    if one.epochs:
        parts.append(f"{one.epochs} epochs")
    return ", ".join(parts)


def _first(student: str, split: str, measured: Mapping[Role, Measured], score: str) -> str:
    """How far the student has come, and what it has without the chain."""
    baseline, chain = measured.get("baseline"), measured.get("progressive")
    before = _value(baseline, score)
    if chain is None:
        return f"Without a teacher {student} has {before} on {split}; no run has a teacher yet."
    taught = " and then ".join(chain.teachers)
    if chain.mean is None:
        return (
            f"What {student} learns from {taught} is not measured yet; without a teacher it has"
            f" {before} on {split}."
        )
    others = [f"{before} without a teacher"]
    for role in ("alone", "direct"):
        other = measured.get(role)
        if other is not None:
            by = f"taught by {other.teachers[0]} alone" if other.teachers else "trained on alone"
            others.append(f"{_value(other, score)} {by}{_budget(chain, other)}")
    verb = "has taught" if len(chain.teachers) == 1 else "have taught"
    return (
        f"After {taught} {verb} it, {student} has {_value(chain, score)} on {split},"
        f" against {_listed(others)}."
    )


def _second(measured: Mapping[Role, Measured], score: str) -> str:
    """How far the first sentence can be trusted."""
    chain = measured.get("progressive")
    other = next((measured[r] for r in ("direct", "alone", "baseline") if r in measured), None)
    if chain is None or other is None or chain.mean is None or other.mean is None:
        return "What is not measured yet cannot be compared."
    seeds = [s for s, ap in chain.ap.items() if ap is not None and other.ap.get(s) is not None]
    if len(seeds) < 2 and len(chain.values) > 1:
        return (
            f"{other.name} was not trained from the chain's seeds, so chance cannot be told apart."
        )
    if len(seeds) < 2:
        ahead = chain.mean - other.mean
        word = "more" if ahead >= 0 else "less"
        return (
            f"That is {abs(ahead):.1f} {score} {word} than {other.name}, from one training with one"
            " seed on one data set, which says little: other seeds can give other differences."
        )
    differences = [float(chain.ap[s] or 0) - float(other.ap[s] or 0) for s in seeds]
    return _over_seeds(differences, other.name, score)


def _over_seeds(differences: Sequence[float], other: str, score: str) -> str:
    """The mean difference with its interval, by Student's t for few seeds."""
    from scipy import stats

    number, mean = len(differences), float(np.mean(differences))
    error = float(np.std(differences, ddof=1)) / math.sqrt(number)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, number - 1)) * error
    ahead = sum(difference > 0 for difference in differences)
    low, high = mean - half, mean + half
    verdict = "so the sign may be chance" if low <= 0 <= high else "on this one data set"
    return (
        f"Over {number} seeds the chain is ahead of {other} in {ahead}, by {mean:.1f} {score} in"
        f" the mean ({CONFIDENCE:.0%} interval {low:.1f} to {high:.1f}), {verdict}."
    )


def _value(one: Measured | None, score: str) -> str:
    if one is None or one.mean is None:
        return f"no measured {score}"
    seeds = f" (mean of {len(one.values)} seeds)" if len(one.values) > 1 else ""
    return f"{one.mean:.1f} {score}{seeds}"


def _budget(chain: Measured, other: Measured) -> str:
    """How long ``other`` was trained beside the chain."""
    if chain.epochs is None or other.epochs is None:
        return ""
    if chain.epochs == other.epochs:
        return " for as many epochs"
    return f" for {other.epochs} epochs instead of {chain.epochs}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
