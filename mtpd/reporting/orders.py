"""Orders of teachers as ``order.json`` tells them: every decision with its numbers, in words."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from mtpd.selection.decisions import (
    AsManyAsAllowed,
    Backwards,
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

VERDICTS = {
    Verdict.CHOSEN: "chosen: adapts to {head} at the least cost of those between",
    Verdict.HIGHER_COST: "between, but adapts to {head} at a higher cost than {chosen}",
    Verdict.FARTHER_FROM_STUDENT: (
        "between and as near to {head} as {chosen}, but farther from {student}"
    ),
    Verdict.LATER_BY_NAME: "between and as near as {chosen}, which comes first by name",
    Verdict.NOT_NEARER_TO_HEAD: "not between: no nearer to {head} than {student} is",
    Verdict.NOT_NEARER_TO_STUDENT: "not between: no nearer to {student} than {head} is",
    Verdict.NEARER_TO_NEITHER: (
        "not between: no nearer to {head} than {student} is and no nearer to {student} than"
        " {head} is"
    ),
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
    also = f", as {tied} has, and the first by name" if tied else ""
    return {
        "chosen": decision.chosen,
        "scores": dict(decision.scores),
        "reason": f"{decision.chosen} is the last teacher: it has the highest score{also}",
    }


@step_of.register
def _(decision: GreedyStep) -> dict[str, Any]:
    head, chosen = decision.head, decision.chosen
    if chosen is None:
        reason = f"no teacher lies between {decision.student} and {head}"
    else:
        reason = f"{chosen} teaches before {head}"
    return {
        "head": head,
        "chosen": chosen,
        "cost_student_to_head": decision.cost_student_to_head,
        "teachers": [_considered(decision, entry) for entry in decision.teachers],
        "reason": reason,
    }


@step_of.register
def _(decision: AsManyAsAllowed) -> dict[str, Any]:
    reason = f"the order has {decision.max_teachers}, as many as allowed"
    return {"chosen": None, "reason": reason}


@step_of.register
def _(decision: HighestScores) -> dict[str, Any]:
    return {
        "scores": dict(decision.scores),
        "left_out": list(decision.left_out),
        "reason": f"the {decision.max_teachers} highest scores, the lowest of them first",
    }


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


def _considered(step: GreedyStep, entry: Considered) -> dict[str, Any]:
    """A teacher that a step had to choose from."""
    words = VERDICTS[entry.verdict]
    return {
        "teacher": entry.teacher,
        "cost_to_head": entry.cost_to_head,
        "cost_from_student": entry.cost_from_student,
        "candidate": entry.is_candidate,
        "reason": words.format(head=step.head, student=step.student, chosen=step.chosen),
    }
