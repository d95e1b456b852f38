"""The split of images that have none: which of them stay together, and how many go where."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtpd.errors import UserError
from mtpd.files import sha256_of
from mtpd.intake.found import POOL, Parts
from mtpd.intake.splitting import split_images

MANY = 1000
"""Images from which on a smaller part is enough to measure on."""
SHARES = {False: (0.15, 0.15), True: (0.1, 0.1)}
"""Parts of val and test, by whether there are many images."""

AUGMENTED = re.compile(r"(.+)\.rf\.[0-9A-Za-z]+\.\w+$")
"""Roboflow calls the versions of one picture by its name, ``.rf.`` and a hash."""


@dataclass(frozen=True)
class Drawn:
    """A split, and what it rests on.

    Attributes:
        parts: Image file names by split.
        new: Splits that were drawn here; others the data had.
        remarks: What was kept together, with counts.
    """

    parts: Parts
    new: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def draw_split(
    parts: Parts,
    classes: Mapping[str, Collection[str]],
    images: Path,
    group: str | None,
    seed: int,
) -> Drawn:
    """Complete ``parts`` to train and val, and to test if the data has no split at all.

    Args:
        parts: Image file names by split, and those of none.
        classes: What is on each image.
        images: Folder that the names are relative to.
        group: Regular expression; images of whose names it finds the same text, or the same first
            group in brackets, stay together.
        seed: The same gives the same split.

    Raises:
        UserError: The expression is wrong or finds nothing, or there are too few images.
    """
    own = {split: names for split, names in parts.items() if split != POOL}
    if {"train", "val"} <= set(own):
        return Drawn(own, ())
    pool = parts.get(POOL) or own.pop("train", ())
    val, test = SHARES[len(pool) >= MANY]
    wanted = {"val": val} if own else {"val": val, "test": test}
    wanted = {split: share for split, share in wanted.items() if split not in own}
    shares = {"train": 1 - sum(wanted.values()), **wanted}
    groups, remarks = _groups(pool, group)
    copies = _copies(images, pool)
    if copies:
        count = sum(map(len, copies))
        remarks.append(f"{count} images are copies of {len(copies)} pictures: each stays together")
    drawn = split_images({name: classes[name] for name in pool}, [*groups, *copies], shares, seed)
    order = [split for split in ("train", "val", "test") if split in drawn or split in own]
    return Drawn(
        {split: drawn.get(split) or own[split] for split in order}, tuple(drawn), tuple(remarks)
    )


def _groups(names: Sequence[str], group: str | None) -> tuple[list[list[str]], list[str]]:
    """Sets of images that a name keeps together, and what is to be said of them."""
    if group is None:
        found = _alike(names, lambda name: (match := AUGMENTED.match(name)) and match[1])
        several = [members for members in found if len(members) > 1]
        if not several:
            return [], []
        count = sum(map(len, several))
        words = f"{count} images are versions of {len(several)} pictures, as Roboflow names them"
        return several, [f"{words}: each stays together"]
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise UserError("--group", f"is no regular expression ({error})", "mend it") from error

    def key(name: str) -> str | None:
        match = pattern.search(name)
        return match and match[1 if pattern.groups else 0]

    found = _alike(names, key)
    grouped = sum(map(len, found))
    if not found:
        problem = f"finds nothing in the names, such as {names[0]}"
        raise UserError("--group", problem, r"give what images of a group share, as '^(.+)_\d+'")
    rest = f", and {len(names) - grouped} images of no group" if grouped < len(names) else ""
    return found, [f"--group: {len(found)} groups{rest}"]


def _copies(folder: Path, names: Sequence[str]) -> list[list[str]]:
    """Sets of images whose files are the same, byte by byte."""

    def size(name: str) -> int | None:
        path = folder / name  # what is missing, the check of the data says
        return path.stat().st_size if path.is_file() else None

    same_size = _alike(names, size)
    return [
        members
        for alike in same_size
        if len(alike) > 1
        for members in _alike(alike, lambda name: sha256_of(folder / name))
        if len(members) > 1
    ]


def _alike(names: Iterable[str], key: Callable[[str], Hashable | None]) -> list[list[str]]:
    """Names by a key; those whose key is None are left out."""
    found: dict[Hashable, list[str]] = defaultdict(list)
    for name in names:
        value = key(name)
        if value is not None:
            found[value].append(name)
    return list(found.values())
