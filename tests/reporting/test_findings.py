"""The two sentences say what was measured, and how little that may be."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from mtpd.reporting.page.content import Role
from mtpd.reporting.page.findings import Measured, find

BASELINE = Measured("small", (), {0: 7.7}, 10)
CHAIN = Measured("bgs", ("wide", "large"), {0: 22.7}, 16)
DIRECT = Measured("direct", ("large",), {0: 12.7}, 16)
ALONE = Measured("alone", (), {0: 12.3}, 16)


def sentences(**measured: Measured) -> tuple[str, str]:
    roles: dict[Role, Measured] = {"baseline": BASELINE, **measured}  # type: ignore[dict-item]
    return find("small", "test", roles).sentences


def test_one_seed() -> None:
    first, second = sentences(progressive=CHAIN, direct=DIRECT, alone=ALONE)
    assert first == (
        "After wide and then large have taught it, small has 22.7 AP on test, against 7.7 AP"
        " without a teacher, 12.3 AP trained on alone for as many epochs and 12.7 AP taught by"
        " large alone for as many epochs."
    )
    assert second == (
        "That is 10.0 AP more than direct, from one training with one seed on one data set, which"
        " says little: other seeds can give other differences."
    )


def test_a_chain_that_is_behind_and_had_more_epochs() -> None:
    direct = Measured("direct", ("large",), {0: 25.0}, 8)
    first, second = sentences(progressive=CHAIN, direct=direct)
    assert "25.0 AP taught by large alone for 8 epochs instead of 16." in first
    assert second.startswith("That is 2.3 AP less than direct,")


def test_what_is_not_measured_is_said() -> None:
    waiting = Measured("bgs", ("wide",), {0: None})
    first, second = sentences(progressive=waiting)
    assert first == (
        "What small learns from wide is not measured yet; without a teacher it has 7.7 AP on test."
    )
    assert second == "What is not measured yet cannot be compared."
    nothing = find("small", "val", {"baseline": Measured("small", (), {0: None})})
    assert nothing.sentences[0] == (
        "Without a teacher small has no measured AP on val; no run has a teacher yet."
    )
    assert [value for _, value, _ in nothing.figures] == ["not measured"]


def test_several_seeds_give_an_interval() -> None:
    """Differences 1, 2 and 6: mean 3, standard deviation √7, standard error √(7/3)."""
    chain = Measured("bgs", ("a", "b"), {1: 21.0, 2: 22.0, 3: 26.0, 4: None})
    direct = Measured("direct", ("b",), {1: 20.0, 2: 20.0, 3: 20.0, 4: 20.0})
    first, second = sentences(progressive=chain, direct=direct)
    half = stats.t.ppf(0.975, 2) * math.sqrt(7 / 3)
    assert second == (
        f"Over 3 seeds the chain is ahead of direct in 3, by 3.0 AP in the mean (95% interval"
        f" {3 - half:.1f} to {3 + half:.1f}), so the sign may be chance."
    )
    assert "small has 23.0 AP (mean of 3 seeds) on test" in first


def test_an_interval_without_zero() -> None:
    chain = Measured("bgs", ("a", "b"), {1: 21.0, 2: 22.0})
    direct = Measured("direct", ("b",), {1: 11.0, 2: 11.9})
    assert sentences(progressive=chain, direct=direct)[1].endswith(", on this one data set.")


def test_runs_without_a_seed_in_common() -> None:
    chain = Measured("bgs", ("a", "b"), {1: 21.0, 2: 22.0})
    direct = Measured("direct", ("b",), {7: 11.0})
    second = sentences(progressive=chain, direct=direct)[1]
    assert (
        second == "direct was not trained from the chain's seeds, so chance cannot be told apart."
    )


def test_without_direct_it_is_compared_with_the_student_alone() -> None:
    assert "more than alone, from" in sentences(progressive=CHAIN, alone=ALONE)[1]
    assert "more than small, from" in sentences(progressive=CHAIN)[1]


def test_the_figures_beside_the_sentences() -> None:
    chain = Measured("bgs", ("a", "b"), {1: 21.0, 2: 23.0}, 16)
    found = find("small", "test", {"progressive": chain, "baseline": BASELINE})
    assert [(model.role, value, note) for model, value, note in found.figures] == [
        ("baseline", "7.7", "10 epochs"),
        ("progressive", "22.0", "± 1.4 over 2 seeds, 16 epochs"),
    ]


@pytest.mark.parametrize("score", ["AP", "sAP"])
def test_the_score_has_the_name_of_the_table(score: str) -> None:
    assert (
        f"7.7 {score} without"
        in find("small", "val", {"baseline": BASELINE, "progressive": CHAIN}, score).sentences[0]
    )
