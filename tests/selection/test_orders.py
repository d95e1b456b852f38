import json
import random
from collections import Counter
from itertools import pairwise, permutations
from math import inf, nan

import pytest

from mtpd.errors import UserError
from mtpd.reporting.orders import order_as_json, trace_of
from mtpd.selection.greedy import backward_greedy, backward_greedy_between, reversed_greedy
from mtpd.selection.optimal import MAX_ORDERS, exhaustive, minimax
from mtpd.selection.orders import (
    STRATEGIES,
    ascending,
    choose_order,
    direct,
    needs_costs,
    needs_scores,
    shuffled,
)
from mtpd.selection.pool import Pool

COST_BASED = [backward_greedy, backward_greedy_between, minimax, exhaustive]


def table(names, text):
    """Costs from rows (sources) and columns (targets) in the order of ``names``."""
    rows = [[float(cell) for cell in line.split()] for line in text.strip().splitlines()]
    return {
        source: {target: cost for target, cost in zip(names, row, strict=True) if target != source}
        for source, row in zip(names, rows, strict=True)
    }


def random_case(seed, count):
    generator = random.Random(seed)
    teachers = [f"t{number}" for number in range(count)]
    scores = {name: generator.random() for name in teachers}
    costs = {
        source: {target: generator.random() for target in teachers if target != source}
        for source in ("s", *teachers)
    }
    return scores, costs


# A strongest teacher far from the student, and a chain of ever nearer ones behind it.
#   C(s→c) = 0.9. Nearer to c than s are b (0.3) and a (0.7); d is not (0.95).
#   C(s→b) = 0.6. Nearer to b than s is a (0.4).
CHAIN = table(
    "sabcd",
    """
    0   0.2 0.6 0.9 0.5
    0.2 0   0.4 0.7 0.9
    0.6 0.4 0   0.3 0.9
    0.9 0.7 0.3 0   0.9
    0.5 0.9 0.9 0.95 0
    """,
)
CHAIN_SCORES = {"a": 0.30, "b": 0.35, "c": 0.40, "d": 0.38}


RULES = {"bgs": backward_greedy, "bgs-between": backward_greedy_between}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    ("max_teachers", "teachers"),
    [(1, "c"), (2, "bc"), (3, "abc"), (4, "abc")],
)
def test_bgs_builds_the_chain_backward(name, max_teachers, teachers):
    order = RULES[name](Pool("s", CHAIN_SCORES, CHAIN, 0.1), max_teachers)
    assert order.teachers == tuple(teachers)
    assert order.strategy == name


def test_bgs_tells_why():
    order = backward_greedy(Pool("s", CHAIN_SCORES, CHAIN, 0.1), 4)
    assert order.jumps == (0.2, 0.4, 0.3)
    strongest, before_c, before_b, before_a = trace_of(order)
    assert strongest["chosen"] == "c"
    assert strongest["scores"] == {"c": 0.40, "d": 0.38, "b": 0.35, "a": 0.30}
    assert strongest["student_score"] == 0.1
    assert (before_c["head"], before_c["chosen"], before_c["cost_student_to_head"]) == (
        "c",
        "b",
        0.9,
    )
    assert before_c["teachers"] == [
        {
            "teacher": "b",
            "cost_to_head": 0.3,
            "interval": None,
            "cost_from_student": 0.6,
            "candidate": True,
            "draws": [],
            "reason": "chosen: adapts to c at the least cost of the candidates",
        },
        {
            "teacher": "a",
            "cost_to_head": 0.7,
            "interval": None,
            "cost_from_student": 0.2,
            "candidate": True,
            "draws": [],
            "reason": "a candidate, but adapts to c at a higher cost than b",
        },
        {
            "teacher": "d",
            "cost_to_head": 0.95,
            "interval": None,
            "cost_from_student": 0.5,
            "candidate": False,
            "draws": [],
            "reason": "no candidate: no nearer to c than s is",
        },
    ]
    assert before_b["chosen"] == "a"
    assert before_a["chosen"] is None
    assert before_a["reason"] == (
        "no teacher is left that is stronger than s and nearer to a than s is"
    )
    assert [entry["reason"] for entry in before_a["teachers"]] == [
        "no candidate: no nearer to a than s is"
    ]


def test_the_first_rule_tells_why_in_both_directions():
    before_a = trace_of(backward_greedy_between(Pool("s", CHAIN_SCORES, CHAIN), 4))[-1]
    assert before_a["reason"] == (
        "no teacher is left that is nearer to a than s is and nearer to s than a is"
    )
    reason = "no candidate: no nearer to a than s is and no nearer to s than a is"
    assert [entry["reason"] for entry in before_a["teachers"]] == [reason]


# The demonstration as it was until its teachers came trained, with the costs that are on record:
# 0.5015 from the student to the R18, 0.4654 to the R34, 0.3147 from the R18 to the R34. Those of
# the RegNet are made up, as low as any, to show that its score alone keeps it out.
OLD_DEMO_SCORES = {"regnet": 0.069, "r18": 0.193, "r34": 0.249}
OLD_DEMO = table(
    ["student", "regnet", "r18", "r34"],
    """
    0      0.3    0.5015 0.4654
    0.5    0      0.3    0.3
    0.5    0.5    0      0.3147
    0.5    0.5    0.4    0
    """,
)


def test_a_cost_to_another_target_does_not_throw_a_teacher_out():
    pool = Pool("student", OLD_DEMO_SCORES, OLD_DEMO, 0.129)
    assert backward_greedy(pool, 2).teachers == ("r18", "r34")
    assert backward_greedy(pool, 3).teachers == ("r18", "r34")
    assert "r18" not in backward_greedy_between(pool, 3).teachers


def test_a_teacher_that_is_no_stronger_than_the_student_is_no_candidate_and_is_said():
    pool = Pool("student", OLD_DEMO_SCORES, OLD_DEMO, 0.129)
    strongest, before_r34, _ = trace_of(backward_greedy(pool, 3))
    assert strongest["no_stronger_than_student"] == ["regnet"]
    assert strongest["reason"].endswith("; regnet has no higher score than student")
    (reason,) = (e["reason"] for e in before_r34["teachers"] if e["teacher"] == "regnet")
    assert reason == "no candidate: its score is no higher than that of student"
    equal = Pool("student", OLD_DEMO_SCORES, OLD_DEMO, 0.193)
    assert backward_greedy(equal, 3).teachers == ("r34",)
    assert "regnet have no higher" in trace_of(ascending(equal, 2))[0]["reason"]
    assert trace_of(ascending(equal, 2))[0]["no_stronger_than_student"] == ["r18", "regnet"]


@pytest.mark.parametrize("score", [None, nan])
def test_bgs_needs_the_score_of_the_student(score):
    for strategy in (backward_greedy, reversed_greedy):
        with pytest.raises(UserError, match=f"score of s is {score}; the student needs"):
            strategy(Pool("s", CHAIN_SCORES, CHAIN, score), 2)


def with_intervals(half):
    """The pool of the chain with every cost known to ± ``half``."""
    intervals = {
        source: {target: (cost - half, cost + half) for target, cost in row.items()}
        for source, row in CHAIN.items()
    }
    return Pool("s", CHAIN_SCORES, CHAIN, 0.1, intervals)


def test_a_choice_outside_the_sampling_error_is_no_draw():
    steps = trace_of(backward_greedy(with_intervals(0.01), 4))[1:3]
    for step in steps:
        assert step["interval"] == [step["cost_student_to_head"] + e for e in (-0.01, 0.01)]
        assert "draw" not in json.dumps(step["reason"])
        assert not any(entry["draws"] for entry in step["teachers"])


def test_a_choice_inside_the_sampling_error_is_called_a_draw():
    # Before c: b 0.3, a 0.7, d 0.95, the student 0.9. ± 0.21 joins a and b, a and s, d and s.
    before_c = trace_of(backward_greedy(with_intervals(0.21), 2))[1]
    assert before_c["reason"] == "b teaches before c; a draw with a"
    draws = {entry["teacher"]: entry["draws"] for entry in before_c["teachers"]}
    assert draws == {"b": [], "a": ["s", "b"], "d": ["s"]}
    reasons = [entry["reason"] for entry in before_c["teachers"]]
    assert reasons[1].endswith("than b; a draw with s and b: the intervals overlap")
    assert reasons[2] == (
        "no candidate: no nearer to c than s is; a draw with s: the intervals overlap"
    )
    # ± 0.31 also joins b and s.
    before_c = trace_of(backward_greedy(with_intervals(0.31), 2))[1]
    assert (
        before_c["reason"] == "b teaches before c; a draw with a; a draw with no teacher before c"
    )


@pytest.mark.parametrize("rule", RULES.values())
def test_bgs_says_why_it_ended(rule):
    pool = Pool("s", CHAIN_SCORES, CHAIN, 0.1)
    assert "as many as allowed" in trace_of(rule(pool, 2))[-1]["reason"]
    alone = rule(Pool("s", {"c": 0.4}, {"s": {"c": 0.9}}, 0.1), 1)
    assert alone.teachers == ("c",)
    assert alone.jumps == (0.9,)


def test_the_first_rule_ends_where_no_teacher_lies_between():
    # a is near to the student but as far from c as the student: 0.5 is not below 0.5.
    # b is near to c but as far from the student as c.
    costs = table(
        "sabc",
        """
        0   0.1 0.5 0.5
        0.1 0   0.1 0.5
        0.5 0.1 0   0.1
        0.5 0.5 0.1 0
        """,
    )
    order = backward_greedy_between(Pool("s", {"a": 1, "b": 2, "c": 3}, costs), 3)
    assert order.teachers == ("c",)
    reasons = {entry["teacher"]: entry["reason"] for entry in trace_of(order)[1]["teachers"]}
    assert reasons == {
        "a": "no candidate: no nearer to c than s is",
        "b": "no candidate: no nearer to s than c is",
    }
    # The rule of bgs asks for the cost to c alone, and b is near to c.
    assert backward_greedy(Pool("s", {"a": 1, "b": 2, "c": 3}, costs, 0), 2).teachers == ("b", "c")


@pytest.mark.parametrize("rule", RULES.values())
def test_bgs_can_come_back_to_a_teacher_it_passed_over(rule):
    # Before c (0.8 from s), b (0.2) beats a (0.3); before b (0.7 from s), a (0.1) lies between.
    costs = table(
        "sabc",
        """
        0   0.6 0.7 0.8
        0.6 0   0.1 0.3
        0.7 0.1 0   0.2
        0.8 0.3 0.2 0
        """,
    )
    assert rule(Pool("s", {"a": 1, "b": 2, "c": 3}, costs, 0), 3).teachers == ("a", "b", "c")


@pytest.mark.parametrize("rule", RULES.values())
def test_bgs_uses_the_direction_of_each_cost(rule):
    # Only a→c (0.1) is cheap; c→a (0.9) must not count. For b it is the other way round.
    costs = table(
        "sabc",
        """
        0   0.2 0.2 0.5
        0.9 0   0.9 0.1
        0.9 0.9 0   0.9
        0.9 0.9 0.1 0
        """,
    )
    assert rule(Pool("s", {"a": 1, "b": 2, "c": 3}, costs, 0), 3).teachers == ("a", "c")


@pytest.mark.parametrize("rule", RULES.values())
@pytest.mark.parametrize(
    ("from_student_to_a", "chosen", "reason_of_other"),
    [
        (0.3, "a", "a candidate and as near to c as a, but farther from s"),
        (0.4, "a", "a candidate and as near as a, which comes first by name"),
        (0.5, "b", "a candidate and as near to c as b, but farther from s"),
    ],
)
def test_bgs_breaks_ties_by_the_student_and_then_by_name(
    from_student_to_a, chosen, reason_of_other, rule
):
    costs = table(
        "sabc",
        f"""
        0   {from_student_to_a} 0.4 0.9
        0.9 0   0.9 0.2
        0.9 0.9 0   0.2
        0.9 0.9 0.9 0
        """,
    )
    order = rule(Pool("s", {"b": 1, "a": 1, "c": 3}, costs, 0), 2)
    assert order.teachers == (chosen, "c")
    assert trace_of(order)[1]["teachers"][1]["reason"] == reason_of_other


def test_bgs_never_takes_a_larger_jump_to_a_head_than_the_student_would():
    for seed in range(200):
        scores, costs = random_case(seed, 6)
        for rule in RULES.values():
            order = rule(Pool("s", scores, costs, 0.3), 6).teachers
            assert order[-1] == max(scores, key=scores.get)
            assert len(set(order)) == len(order)
            for before, head in pairwise(order):
                assert costs[before][head] < costs["s"][head]
                if rule is backward_greedy:
                    assert scores[before] > 0.3
                else:
                    assert costs["s"][before] < costs["s"][head]


def test_scores_alone_decide_direct_and_ascending():
    assert direct(Pool("s", CHAIN_SCORES, {}), 4).teachers == ("c",)
    assert ascending(Pool("s", CHAIN_SCORES, {}), 4).teachers == ("a", "b", "d", "c")
    order = ascending(Pool("s", CHAIN_SCORES, {}), 2)
    assert order.teachers == ("d", "c")
    assert trace_of(order)[0]["left_out"] == ["b", "a"]
    assert order.jumps == ()
    assert order_as_json(order)["largest_jump"] is None


def test_jumps_are_given_where_costs_are_known():
    assert direct(Pool("s", CHAIN_SCORES, CHAIN), 4).jumps == (0.9,)
    assert ascending(Pool("s", CHAIN_SCORES, CHAIN), 2).jumps == (0.5, 0.95)
    assert choose_order(["b", "a"], Pool("s", {}, CHAIN, 0.0), 1).jumps == (0.6, 0.4)


def test_equal_scores_rank_by_name():
    scores = {"b": 0.4, "a": 0.4, "c": 0.1}
    order = direct(Pool("s", scores, {}), 1)
    assert order.teachers == ("a",)
    assert "as b has, and the first by name" in trace_of(order)[0]["reason"]
    assert ascending(Pool("s", scores, {}), 3).teachers == ("c", "b", "a")


def test_minimax_prefers_small_jumps_then_a_small_sum_then_few_teachers():
    # s→c 9; s→a→c 4, 4; s→b→c 4, 3; s→a→b→c 4, 1, 3: largest 4 in all but the first,
    # sums 8, 7, 8.
    costs = table(
        "sabc",
        """
        0 4 4 9
        9 0 1 4
        9 9 0 3
        9 9 9 0
        """,
    )
    scores = {"a": 1, "b": 2, "c": 3}
    order = minimax(Pool("s", scores, costs), 3)
    assert order.teachers == ("b", "c")
    assert order_as_json(order) | {"trace": []} == {
        "strategy": "minimax",
        "teachers": ["b", "c"],
        "jumps": [4, 3],
        "largest_jump": 4,
        "sum_of_jumps": 7,
        "trace": [],
    }
    assert minimax(Pool("s", scores, costs), 1).teachers == ("c",)
    # All three now sum up to 8 with a largest jump of 4: two teachers are fewer than three, and
    # a comes before b.
    costs["b"]["c"] = 4
    costs["a"]["b"] = 0
    assert minimax(Pool("s", scores, costs), 3).teachers == ("a", "c")


def test_minimax_takes_the_long_way_only_if_it_is_allowed_to():
    # Each step of s→a→b→c costs 1; a shortcut costs more the more it skips.
    costs = table(
        "sabc",
        """
        0 1 4 9
        1 0 1 4
        4 1 0 1
        9 4 1 0
        """,
    )
    scores = {"a": 1, "b": 2, "c": 3}
    best = {count: minimax(Pool("s", scores, costs), count).teachers for count in (1, 2, 3)}
    # With two teachers a and b tie: 1 + 4 and 4 + 1.
    assert best == {1: ("c",), 2: ("a", "c"), 3: ("a", "b", "c")}


def brute_force(scores, costs, max_teachers):
    """Every order that ends with the strongest, ranked without the code under test."""
    goal = max(scores, key=scores.get)
    ranking = []
    for count in range(1, max_teachers + 1):
        for order in permutations(scores, count):
            if order[-1] != goal:
                continue
            jumps, last = [], "s"
            for teacher in order:
                jumps.append(costs[last][teacher])
                last = teacher
            ranking.append((max(jumps), sum(jumps), count, order))
    return [order for *_, order in sorted(ranking)]


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_minimax_and_exhaustive_agree_with_brute_force(count, levels):
    """With costs of few distinct values there are ties everywhere, zero jumps included."""
    for seed in range(60):
        scores, costs = random_case(seed, count)
        if levels is not None:
            costs = {s: {t: int(c * levels) for t, c in row.items()} for s, row in costs.items()}
        for max_teachers in range(1, count + 1):
            ranking = brute_force(scores, costs, max_teachers)
            assert minimax(Pool("s", scores, costs), max_teachers).teachers == ranking[0]
            listed = exhaustive(Pool("s", scores, costs), max_teachers)
            assert listed.teachers == ranking[0]
            found = [tuple(entry["teachers"]) for entry in trace_of(listed)[1]["ranking"]]
            assert found == ranking


def test_bgs_is_never_better_than_minimax():
    for seed in range(100):
        scores, costs = random_case(seed, 5)
        greedy = backward_greedy(Pool("s", scores, costs, 0), 4)
        exact = minimax(Pool("s", scores, costs), 4)
        assert (max(exact.jumps), sum(exact.jumps)) <= (max(greedy.jumps), sum(greedy.jumps))


def test_exhaustive_ranks_with_the_objective():
    ranking = trace_of(exhaustive(Pool("s", CHAIN_SCORES, CHAIN), 2))[1]["ranking"]
    assert ranking == [
        {"teachers": ["b", "c"], "largest_jump": 0.6, "sum_of_jumps": 0.6 + 0.3},
        {"teachers": ["a", "c"], "largest_jump": 0.7, "sum_of_jumps": 0.2 + 0.7},
        {"teachers": ["c"], "largest_jump": 0.9, "sum_of_jumps": 0.9},
        {"teachers": ["d", "c"], "largest_jump": 0.95, "sum_of_jumps": 0.5 + 0.95},
    ]


def test_exhaustive_does_not_explode():
    scores, costs = random_case(0, 9)
    # 8! (1/8! + 1/7! + … + 1/0!) = 109 601 orders of nine teachers.
    with pytest.raises(UserError, match=f"109601 orders, more than {MAX_ORDERS}"):
        exhaustive(Pool("s", scores, costs), 9)
    assert len(trace_of(exhaustive(Pool("s", scores, costs), 4))[1]["ranking"]) == 1 + 8 + 56 + 336


def test_minimax_is_quick_where_exhaustive_gives_up():
    scores, costs = random_case(1, 20)
    order = minimax(Pool("s", scores, costs), 20)
    assert max(order.jumps) < costs["s"][order.teachers[-1]]


def test_reversed_is_bgs_backwards():
    order = choose_order("reversed", Pool("s", CHAIN_SCORES, CHAIN, 0.0), 3)
    greedy = choose_order("bgs", Pool("s", CHAIN_SCORES, CHAIN, 0.0), 3)
    assert len(greedy.teachers) > 1
    assert order.teachers == greedy.teachers[::-1]
    path = ["s", *order.teachers]
    assert order.jumps == tuple(CHAIN[one][other] for one, other in pairwise(path))


def test_shuffled_draws_every_order_alike_and_the_same_by_the_same_seed():
    draws = Counter(shuffled("s", "cab", {}, 2, seed).teachers for seed in range(600))
    assert len(draws) == 6
    assert max(draws.values()) < 2 * min(draws.values())
    assert shuffled("s", "abc", {}, 2, 5) == shuffled("s", "cba", {}, 2, 5)
    assert shuffled("s", CHAIN_SCORES, CHAIN, 2, 0).jumps


def test_explicit_orders_are_taken_as_they_are():
    for teachers in (["b", "a", "b"], ("b", "a", "b")):
        order = choose_order(teachers, Pool("s", {}, {}, 0.0), 1)
        assert order.teachers == ("b", "a", "b")
        assert order.strategy == "explicit"
    with pytest.raises(UserError, match="empty"):
        choose_order([], Pool("s", {}, {}, 0.0), 1)


@pytest.mark.parametrize("name", STRATEGIES)
def test_choose_order_finds_strategies_by_name(name):
    order = choose_order(name, Pool("s", CHAIN_SCORES, CHAIN, 0.0), 3)
    assert order == STRATEGIES[name](Pool("s", CHAIN_SCORES, CHAIN, 0.0), 3)
    assert order.strategy == name
    assert order.teachers[0 if name == "reversed" else -1] == "c"
    assert all(step["reason"] for step in trace_of(order))
    assert json.loads(json.dumps(order_as_json(order), allow_nan=False)) == order_as_json(order)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_order_of_the_input_does_not_matter(name):
    names = sorted(CHAIN_SCORES)
    equal = dict.fromkeys(names, 0.5)
    costs = {s: {t: 1.0 for t in names if t != s} for s in ("s", *names)}
    backward = {name: equal[name] for name in reversed(names)}
    turned = {s: dict(reversed(row.items())) for s, row in reversed(costs.items())}
    assert choose_order(name, Pool("s", equal, costs, 0.0), 3) == choose_order(
        name, Pool("s", backward, turned, 0.0), 3
    )


def test_what_strategies_need():
    assert {name: (needs_scores(name), needs_costs(name)) for name in STRATEGIES} == {
        "bgs": (True, True),
        "bgs-between": (True, True),
        "direct": (True, False),
        "ascending": (True, False),
        "minimax": (True, True),
        "exhaustive": (True, True),
        "reversed": (True, True),
    }
    for teachers in (("a", "b"), ["direct"], ()):
        assert not needs_scores(teachers)
        assert not needs_costs(teachers)


@pytest.mark.parametrize("ask", [needs_costs, needs_scores])
def test_unknown_strategies(ask):
    with pytest.raises(
        UserError, match="there is no order 'best'; use one of bgs, bgs-between, direct"
    ):
        ask("best")
    with pytest.raises(UserError, match="there is no order 'best'"):
        choose_order("best", Pool("s", CHAIN_SCORES, CHAIN, 0.0), 2)


@pytest.mark.parametrize("strategy", STRATEGIES.values())
@pytest.mark.parametrize(
    ("scores", "max_teachers", "problem"),
    [
        ({}, 1, "there is no teacher to choose from"),
        ({"c": 0.4, "s": 0.3}, 1, "s is student and teacher"),
        (CHAIN_SCORES | {"a": nan}, 1, "score of a is nan"),
        (CHAIN_SCORES | {"a": inf}, 1, "score of a is inf"),
        (CHAIN_SCORES | {"a": None}, 1, "score of a is None"),
        ({"a": 0.3, "b": 0.4, "c": 0.5}, 1, "d has costs but no score"),
        (CHAIN_SCORES, 0, "max_teachers is 0 for a pool of 4; give 1 to 4"),
        (CHAIN_SCORES, 5, "max_teachers is 5 for a pool of 4; give 1 to 4"),
    ],
)
def test_wrong_scores_are_one_line(strategy, scores, max_teachers, problem):
    with pytest.raises(UserError, match=rf"^order: {problem}.*$"):
        strategy(Pool("s", scores, CHAIN, 0.0), max_teachers)


@pytest.mark.parametrize("strategy", COST_BASED)
@pytest.mark.parametrize(
    ("source", "target", "cost", "problem"),
    [
        ("s", "b", nan, "is nan"),
        ("a", "c", inf, "is inf"),
        ("c", "a", None, "is missing"),
        ("d", "b", -0.1, "is -0.1"),
    ],
)
def test_wrong_costs_are_one_line(strategy, source, target, cost, problem):
    costs = {s: dict(row) for s, row in CHAIN.items()}
    costs[source][target] = cost
    with pytest.raises(UserError, match=f"^order: cost {source} → {target} {problem}; .*$"):
        strategy(Pool("s", CHAIN_SCORES, costs, 0.0), 2)


@pytest.mark.parametrize("strategy", COST_BASED)
def test_missing_rows_are_one_line(strategy):
    with pytest.raises(UserError, match="cost s → a is missing"):
        strategy(Pool("s", CHAIN_SCORES, {}, 0.0), 2)
