"""The words of ``order.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from mtpd.reporting.orders import FAILED, VERDICTS, order_as_json, step_of
from mtpd.selection.decisions import Decision, Order, Verdict
from mtpd.selection.greedy import backward_greedy, backward_greedy_between, reversed_greedy
from mtpd.selection.optimal import exhaustive, minimax
from mtpd.selection.orders import ascending, choose_order, direct, shuffled
from mtpd.selection.pool import Costs, Pool

WRITTEN = Path(__file__).with_name("orders.json")
"""The orders below as they are written. A change of the words shows there."""

SCORES = {"a": 0.30, "b": 0.35, "c": 0.40, "d": 0.38}
COSTS: Costs = {
    "s": {"a": 0.2, "b": 0.6, "c": 0.9, "d": 0.5},
    "a": {"b": 0.4, "c": 0.7, "d": 0.9},
    "b": {"a": 0.4, "c": 0.3, "d": 0.9},
    "c": {"a": 0.7, "b": 0.3, "d": 0.9},
    "d": {"a": 0.9, "b": 0.9, "c": 0.95},
}

# Before e, which is 0.9 from s, every verdict is spoken.
TIED_SCORES = {name: 0.5 if name in "efg" else 0.1 for name in "abcdefgh"}
FROM_STUDENT = {"a": 0.3, "b": 0.3, "c": 0.4, "d": 0.1, "e": 0.9, "f": 0.9, "g": 0.1, "h": 0.9}
TO_HEAD = {"a": 0.2, "b": 0.2, "c": 0.2, "d": 0.5, "f": 0.3, "g": 0.9, "h": 0.95}
TIED_COSTS: Costs = {"s": FROM_STUDENT} | {
    one: {other: TO_HEAD[one] if other == "e" else 1.0 for other in TIED_SCORES if other != one}
    for one in TIED_SCORES
}

INTERVALS = {
    source: {target: (cost - 0.21, cost + 0.21) for target, cost in row.items()}
    for source, row in COSTS.items()
}
POOL = Pool("s", SCORES, COSTS, 0.2)
TIED = Pool("s", TIED_SCORES, TIED_COSTS, 0.05)
ORDERS = {
    "bgs to the end": backward_greedy(POOL, 4),
    "bgs to the limit": backward_greedy(POOL, 2),
    "bgs with ties": backward_greedy(TIED, 2),
    "bgs with draws": backward_greedy(Pool("s", SCORES, COSTS, 0.32, INTERVALS), 3),
    "bgs by the first rule": backward_greedy_between(TIED, 2),
    "direct": direct(Pool("s", SCORES), 4),
    "ascending": ascending(Pool("s", SCORES, COSTS, 0.36), 2),
    "minimax": minimax(POOL, 3),
    "exhaustive": exhaustive(POOL, 2),
    "reversed": reversed_greedy(POOL, 3),
    "random": shuffled("s", SCORES, COSTS, 2, 7),
    "explicit": choose_order(["b", "a"], Pool("s", {}, COSTS), 1),
}


@pytest.mark.parametrize("name", ORDERS)
def test_orders_are_written_as_ever(name: str) -> None:
    """Byte for byte, with the order of the keys."""
    written = json.loads(WRITTEN.read_text(encoding="utf-8"))
    assert sorted(written) == sorted(ORDERS)
    assert json.dumps(order_as_json(ORDERS[name]), indent=2) == json.dumps(written[name], indent=2)


def test_the_orders_hold_every_decision_and_verdict() -> None:
    decisions = [decision for order in ORDERS.values() for decision in order.decisions]
    assert {type(decision) for decision in decisions} == set(get_args(Decision))
    text = WRITTEN.read_text(encoding="utf-8")
    for verdict in Verdict:
        words = VERDICTS[verdict].replace("{failed}", "")
        assert words.format(student="s", head="e", chosen="a") in text
    for words in FAILED.values():
        assert (
            words.format(student="s", head="e") in text
            or words.format(student="s", head="c") in text
        )


def test_an_order_without_costs_has_no_objectives() -> None:
    order = Order.of("explicit", Pool("s", {}), ["a"], [])
    assert order_as_json(order) == {
        "strategy": "explicit",
        "teachers": ["a"],
        "jumps": [],
        "largest_jump": None,
        "sum_of_jumps": None,
        "trace": [],
    }


def test_a_decision_without_words_is_an_error() -> None:
    with pytest.raises(NotImplementedError, match="no words for"):
        step_of(object())
