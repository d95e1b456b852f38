"""Orders of teachers as ``order.json`` tells them: every decision with its numbers, in words."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from mtpd.selection.decisions import (
    AsManyAsAllowed,
    Backwards,
    Condition,
    Considered,
    Decision,
    Drawn,
    FirstOfAll,
    GreedyStep,
    HighestScores,
    Named,
    Order,
    SmallestLargestJump,
    StrongestLast,
    Verdict,
)
from mtpd.selection.pool import Pool

VERDICTS = {
    Verdict.CHOSEN: "chosen: adapts to {head} at the least cost of the candidates",
    Verdict.HIGHER_COST: "a candidate, but adapts to {head} at a higher cost than {chosen}",
    Verdict.FARTHER_FROM_STUDENT: (
        "a candidate and as near to {head} as {chosen}, but farther from {student}"
    ),
    Verdict.LATER_BY_NAME: "a candidate and as near as {chosen}, which comes first by name",
    Verdict.NO_CANDIDATE: "no candidate: {failed}",
}

FAILED = {
    Condition.STRONGER: "its score is no higher than that of {student}",
    Condition.NEARER_TO_HEAD: "no nearer to {head} than {student} is",
    Condition.NEARER_TO_STUDENT: "no nearer to {student} than {head} is",
}

MET = {
    Condition.STRONGER: "stronger than {student}",
    Condition.NEARER_TO_HEAD: "nearer to {head} than {student} is",
    Condition.NEARER_TO_STUDENT: "nearer to {student} than {head} is",
}


def order_as_json(order: Order) -> dict[str, Any]:
    """The order with its jumps, the two objectives of minimax, and a step for every decision."""
    return {
        "strategy": order.strategy,
        "teachers": list(order.teachers),
        "jumps": list(order.jumps),
        "largest_jump": order.largest_jump,
        "sum_of_jumps": order.sum_of_jumps,
        "trace": trace_of(order),
    }


def trace_of(order: Order) -> list[dict[str, Any]]:
    """The decisions that led to the order, ready for JSON: the numbers, and the ``reason``."""
    return [step_of(decision) for decision in order.decisions]


@singledispatch
def step_of(decision: Decision) -> dict[str, Any]:
    """A decision: the numbers that it rests on, what came of it, and the reason in one sentence."""
    raise NotImplementedError(f"no words for {decision}")


@step_of.register
def _(decision: StrongestLast) -> dict[str, Any]:
    tied = " and ".join(decision.tied)
    verb = "has" if len(decision.tied) == 1 else "have"
    also = f", as {tied} {verb}, and the first by name" if tied else ""
    reason = f"{decision.chosen} is the last teacher: it has the highest score{also}"
    return {"chosen": decision.chosen, **_scores(decision.pool, reason)}


@step_of.register
def _(decision: GreedyStep) -> dict[str, Any]:
    return {
        "head": decision.head,
        "chosen": decision.chosen,
        "cost_student_to_head": decision.cost_student_to_head,
        "interval": decision.interval and list(decision.interval),
        "teachers": [_considered(decision, entry) for entry in decision.teachers],
        "reason": _reason(decision),
    }


def _reason(step: GreedyStep) -> str:
    """Why a step chose as it did, and whether it might as well have chosen otherwise."""
    names = {"head": step.head, "student": step.student}
    if step.chosen is None:
        conditions = " and ".join(MET[each].format(**names) for each in step.conditions)
        return f"no teacher is left that is {conditions}"
    chosen = next(entry for entry in step.teachers if entry.teacher == step.chosen)
    rivals = [e.teacher for e in step.teachers if e.is_candidate and step.chosen in e.draws]
    reason = f"{step.chosen} teaches before {step.head}"
    if rivals:
        reason += f"; a draw with {' and '.join(rivals)}"
    if step.student in chosen.draws:
        reason += f"; a draw with no teacher before {step.head}"
    return reason


@step_of.register
def _(decision: HighestScores) -> dict[str, Any]:
    reason = f"the {decision.max_teachers} highest scores, the lowest of them first"
    return {"left_out": list(decision.left_out), **_scores(decision.pool, reason)}


@step_of.register
def _(decision: AsManyAsAllowed) -> dict[str, Any]:
    reason = f"the order has {decision.max_teachers}, as many as allowed"
    return {"chosen": None, "reason": reason}


@step_of.register
def _(decision: SmallestLargestJump) -> dict[str, Any]:
    return {
        "largest_jump": decision.largest_jump,
        "reason": (
            f"no order of at most {decision.max_teachers} that ends with {decision.goal} has a"
            f" largest jump below {decision.largest_jump:.4g}; of those with this one it has the"
            " smallest sum"
        ),
    }


@step_of.register
def _(decision: FirstOfAll) -> dict[str, Any]:
    ranking = [
        {
            "teachers": list(entry.teachers),
            "largest_jump": entry.largest_jump,
            "sum_of_jumps": entry.sum_of_jumps,
        }
        for entry in decision.ranking
    ]
    return {
        "ranking": ranking,
        "reason": (
            f"first of the {len(ranking)} orders of at most {decision.max_teachers} that end with"
            f" {decision.goal}, by largest jump, sum of jumps, number of teachers and names"
        ),
    }


@step_of.register
def _(_decision: Backwards) -> dict[str, Any]:
    return {"reason": "the order of bgs, backwards"}


@step_of.register
def _(decision: Drawn) -> dict[str, Any]:
    reason = f"{decision.number} of {decision.pool}, drawn by the seed {decision.seed}"
    return {"reason": reason}


@step_of.register
def _(_decision: Named) -> dict[str, Any]:
    return {"reason": "the teachers were named in this order"}


def _scores(pool: Pool, reason: str) -> dict[str, Any]:
    """Scores of a pool, highest first, and ``reason`` with those that are below the student's."""
    weak = pool.no_stronger()
    if weak:
        verb = "has" if len(weak) == 1 else "have"
        reason += f"; {' and '.join(weak)} {verb} no higher score than {pool.student}"
    found = {"scores": pool.by_rank(), "student_score": pool.student_score}
    return {**found, "no_stronger_than_student": list(weak), "reason": reason}


def _considered(step: GreedyStep, entry: Considered) -> dict[str, Any]:
    """A teacher that a step had to choose from."""
    names = {"head": step.head, "student": step.student, "chosen": step.chosen}
    failed = " and ".join(FAILED[condition].format(**names) for condition in entry.failed)
    reason = VERDICTS[entry.verdict].format(failed=failed, **names)
    if entry.draws:
        reason += f"; a draw with {' and '.join(entry.draws)}: the intervals overlap"
    return {
        "teacher": entry.teacher,
        "cost_to_head": entry.cost_to_head,
        "interval": entry.interval and list(entry.interval),
        "cost_from_student": entry.cost_from_student,
        "candidate": entry.is_candidate,
        "draws": list(entry.draws),
        "reason": reason,
    }
