"""Which runs stand beside each other follows from the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtpd.experiment.comparison import Comparison, comparison, has_budget_of
from mtpd.experiment.load import load_experiment
from mtpd.experiment.runs import chains_of_runs

Compare = Callable[..., Comparison]


@pytest.fixture
def compare(write_experiment: Callable[..., Path]) -> Compare:
    def of(runs: dict[str, Any], orders: dict[str, list[str]] | None = None) -> Comparison:
        given = {name: {"method": "fm", **run} for name, run in runs.items()}
        experiment = load_experiment(write_experiment(("runs", given)))
        return comparison(experiment, chains_of_runs(experiment, orders or {}))

    return of


def test_the_chain_and_what_has_its_epochs(compare: Compare) -> None:
    found = compare(
        {
            "short": {"order": ["b"]},
            "chain": {"order": ["a", "b"]},
            "other": {"order": ["a"], "budget": "chain"},
            "long": {"order": ["b"], "budget": "chain"},
            "alone": {"order": "none"},
            "alone-long": {"order": "none", "budget": "chain"},
        }
    )
    assert found == Comparison("chain", "long", "alone-long", "b")


def test_the_same_teacher_without_a_run_of_the_same_epochs(compare: Compare) -> None:
    runs = {"one": {"order": ["a"]}, "two": {"order": ["b"]}, "chain": {"order": ["a", "b"]}}
    assert compare(runs) == Comparison("chain", "two", None, "b")


def test_members_of_the_same_seed(compare: Compare) -> None:
    runs = {
        "direct": {"order": ["b"], "budget": "chain", "seeds": [3, 4]},
        "chain": {"order": ["a", "b"], "seeds": [4, 3]},
    }
    assert compare(runs) == Comparison("chain~4", "direct~4", None, "b")


def test_one_teacher_at_a_time(compare: Compare) -> None:
    assert compare({"one": {"order": ["a"]}}) == Comparison("one", None, None, "a")


def test_an_order_that_is_not_known_yet_is_left_out(compare: Compare) -> None:
    runs = {"chain": {"order": "bgs"}, "alone": {"order": "none"}}
    assert compare(runs) == Comparison(alone="alone")
    assert compare(runs, {"chain": ["a", "c"]}) == Comparison("chain", None, "alone", "c")


def test_whose_epochs_a_run_has(write_experiment: Callable[..., Path]) -> None:
    runs = {
        "chain": {"method": "fm", "order": ["a", "b"], "seeds": [1, 2]},
        "long": {"method": "fm", "order": ["b"], "budget": "chain"},
    }
    experiment = load_experiment(write_experiment(("runs", runs)))
    assert has_budget_of(experiment, "long", "chain~2")
    assert not has_budget_of(experiment, "chain~1", "long")
