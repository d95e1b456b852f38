"""Splits: shares, classes, units that stay together, and what cannot be split."""

from __future__ import annotations

import pytest

from mtpd.errors import UserError
from mtpd.intake.splitting import split_images

SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}


def images(count: int, *classes: str) -> dict[str, set[str]]:
    return {f"{'-'.join(classes) or 'none'}{i:03d}": set(classes) for i in range(count)}


def numbers(split: dict[str, tuple[str, ...]]) -> tuple[int, ...]:
    return tuple(len(names) for names in split.values())


def test_every_image_is_in_one_split_and_shares_are_kept() -> None:
    pool = images(100, "a") | images(60, "a", "b") | images(40)
    split = split_images(pool, [], SHARES, 0)
    assert numbers(split) == (140, 30, 30)
    assert sorted(name for names in split.values() for name in names) == sorted(pool)


def test_classes_and_images_without_boxes_are_spread_by_the_shares() -> None:
    pool = images(400, "common") | images(20, "common", "rare") | images(40)
    split = split_images(pool, [], SHARES, 0)
    of = {
        kind: [sum(n.startswith(kind) for n in names) for names in split.values()]
        for kind in ("common-rare", "none")
    }
    assert of == {"common-rare": [14, 3, 3], "none": [28, 6, 6]}


def test_the_seed_decides() -> None:
    pool = images(50, "a")
    assert split_images(pool, [], SHARES, 3) == split_images(
        dict(reversed(pool.items())), [], SHARES, 3
    )
    assert split_images(pool, [], SHARES, 3) != split_images(pool, [], SHARES, 4)


def test_units_are_not_parted_and_join_through_common_images() -> None:
    pool = images(60, "a")
    names = list(pool)
    groups = [names[i : i + 4] for i in range(0, 60, 4)]
    duplicates = [[names[0], names[7]], [names[7], names[20]]]
    split = split_images(pool, [*groups, *duplicates], SHARES, 1)
    side = {name: part for part, members in split.items() for name in members}
    assert all(len({side[name] for name in group}) == 1 for group in groups)
    assert side[names[0]] == side[names[7]] == side[names[20]]
    assert all(numbers(split))


def test_three_images_are_enough_and_train_keeps_every_class_if_it_can() -> None:
    pool = {"1": {"a", "b"}, "2": {"a"}, "3": {"a"}, "4": set()}
    split = split_images(pool, [], SHARES, 0)
    assert "1" in split["train"]
    assert {split["val"][:1], split["test"][:1]} == {("2",), ("3",)}


def test_too_few_units_are_one_line() -> None:
    pool = images(9, "a") | images(5)
    with pytest.raises(
        UserError, match="train, val, test need an image with boxes each, and there are 2"
    ):
        split_images(pool, [list(images(8, "a"))], SHARES, 0)
