import random
import re

import pytest

from mtpd.chains import (
    CHAIN_PATTERN,
    MAX_LENGTH,
    NAME_PATTERN,
    Chain,
    Stage,
    check_name,
    is_valid_name,
)
from mtpd.errors import UserError


def texts(chains):
    return [str(chain) for chain in chains]


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("t1", (Stage("t1"),)),
        ("none", (Stage(None),)),
        ("none@8", (Stage(None, 8),)),
        ("t1+t2@16+none@8", (Stage("t1"), Stage("t2", 16), Stage(None, 8))),
        ("t1+t1", (Stage("t1"), Stage("t1"))),
        ("mask-rcnn_r50.v2+7b@1", (Stage("mask-rcnn_r50.v2"), Stage("7b", 1))),
        ("None+none-2", (Stage("None"), Stage("none-2"))),
    ],
)
@pytest.mark.parametrize("seed", [None, 0, 10])
def test_text_and_stages_are_inverse(text, stages, seed):
    named = text if seed is None else f"{text}~{seed}"
    chain = Chain.parse(named)
    assert chain == Chain(stages, seed)
    assert str(chain) == named


def test_random_chains_survive_the_round_trip():
    generator = random.Random(0)
    names = ["a", "B2", "0.5x", "gfl_r101-dcn", None]
    for _ in range(300):
        stages = [
            Stage(generator.choice(names), generator.choice([None, 1, 10, 240]))
            for _ in range(generator.randint(1, 6))
        ]
        chain = Chain(tuple(stages), generator.choice([None, 0, 3]))
        assert Chain.parse(str(chain)) == chain
        assert re.fullmatch(CHAIN_PATTERN, str(chain))


@pytest.mark.parametrize(
    "text",
    [
        "", "+", "a+", "+a", "a++b", "a b", " a", "a\n", "a/b", "../a", ".a", "-a", "_a", "a@",
        "@8", "a@0", "a@08", "a@-1", "a@1.5", "a@8@8", "a@b", "a+@2", "a;b", "a$b", "é", "a@٣",
        "a{b}", "a~", "a~01", "a~-1", "a~x", "~1", "a~1+b", "a~1~2",
    ],
)  # fmt: skip
def test_other_texts_are_refused_in_one_line(text):
    assert not re.fullmatch(CHAIN_PATTERN, text)
    with pytest.raises(UserError) as caught:
        Chain.parse(text)
    assert "\n" not in str(caught.value)
    assert repr(text)[1:-1].strip() in str(caught.value)


def test_a_chain_needs_a_stage_and_a_stage_an_epoch():
    with pytest.raises(UserError, match="no stage"):
        Chain(())
    with pytest.raises(UserError, match="less than one epoch"):
        Stage("t1", 0)
    with pytest.raises(UserError, match="reserved"):
        Stage("none")
    with pytest.raises(UserError, match="not a valid name"):
        Stage("t1+t2")


def test_a_chain_is_short_enough_for_a_folder():
    longest = Chain((Stage("a" * MAX_LENGTH),))
    assert Chain.parse(str(longest)) == longest
    with pytest.raises(UserError, match=f"{MAX_LENGTH + 2} characters"):
        Chain((*longest.stages, Stage("b")))


def test_family():
    chain = Chain.parse("a+b@3+none")
    assert chain.last == Stage(None)
    assert texts(chain.prefixes()) == ["a", "a+b@3", "a+b@3+none"]
    assert chain.parent == Chain.parse("a+b@3")
    assert chain.parent.parent == Chain.parse("a")
    assert chain.parent.parent.parent is None


def test_the_family_of_a_seed_has_that_seed():
    chain = Chain.parse("a+b@3~7")
    assert texts(chain.prefixes()) == ["a~7", "a+b@3~7"]
    assert chain.parent == Chain.parse("a~7")


@pytest.mark.parametrize("name", ["a", "7", "T1", "gfl_r50.v2-x", "None", "nonesuch", "a.", "a-"])
def test_names(name):
    assert is_valid_name(name)
    assert re.fullmatch(NAME_PATTERN, name)
    check_name("demo.yaml: teachers", name)


@pytest.mark.parametrize(
    "name", ["", "none", "a+b", "a@2", "a/b", "..", ".a", "-a", "_a", "a b", "a\n", "$a", "a*", "ä"]
)
def test_wrong_names(name):
    assert not is_valid_name(name)
    with pytest.raises(UserError, match=r"^demo\.yaml: teachers: .*; .*$") as caught:
        check_name("demo.yaml: teachers", name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("pattern", [NAME_PATTERN, CHAIN_PATTERN])
def test_patterns_fit_into_a_larger_one(pattern):
    """Snakemake puts a constraint into a named group of its own."""
    assert re.compile(pattern).groups == 0
    path = re.compile(rf"stages/(?P<method>{NAME_PATTERN})/(?P<chain>{pattern})/student\.pth")
    assert path.fullmatch("stages/cwd/none/student.pth")["chain"] == "none"
    assert not path.fullmatch("stages/cwd/a/b/student.pth")
