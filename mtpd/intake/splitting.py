"""A split for a data set that has none: seeded, and with every class in each part if possible.

Images of one unit stay together: those of one group, and copies of one picture. Units are given
out by iterative stratification (Sechidis et al., ECML PKDD 2011), which serves the rarest class
first, as an image may show several.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from mtpd.errors import UserError

NO_BOXES = ""
"""In place of a class, for images without boxes: they are spread evenly too."""

Unit = tuple[str, ...]
"""Images that must not be parted."""


def split_images(
    classes: Mapping[str, Collection[str]],
    together: Iterable[Sequence[str]],
    shares: Mapping[str, float],
    seed: int,
) -> dict[str, tuple[str, ...]]:
    """Hand out images to splits.

    Args:
        classes: Names of images, each with the classes that are on it.
        together: Sets of images of which each belongs on one side.
        shares: Part of the images that each split should have; the parts add up to 1.
        seed: The same seed gives the same split.

    Returns:
        Names of images by split, sorted. Every split has an image with a box.

    Raises:
        UserError: There are fewer units with boxes than splits.
    """
    labels = {name: set(found) or {NO_BOXES} for name, found in sorted(classes.items())}
    units = _units(labels, together)
    annotated = sum(any(labels[name] != {NO_BOXES} for name in unit) for unit in units)
    if annotated < len(shares):
        raise UserError(
            "split",
            f"{', '.join(shares)} need an image with boxes each, and there are {annotated} "
            "that may be parted",
            "add images, or let --group take fewer of them together",
        )
    random.Random(seed).shuffle(units)
    counts = {unit: Counter(label for name in unit for label in labels[name]) for unit in units}
    found = _stratified(counts, shares)
    _fill_empty(found, counts)
    return {split: tuple(sorted(name for unit in found[split] for name in unit)) for split in found}


def _units(names: Iterable[str], together: Iterable[Sequence[str]]) -> list[Unit]:
    """The smallest sets of images that respect every one of ``together``."""
    leader = {name: name for name in names}

    def first_of(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for members in together:
        for name in members[1:]:
            leader[first_of(name)] = first_of(members[0])
    units: dict[str, list[str]] = {}
    for name in leader:
        units.setdefault(first_of(name), []).append(name)
    return [tuple(unit) for unit in units.values()]


def _stratified(
    counts: Mapping[Unit, Counter[str]], shares: Mapping[str, float]
) -> dict[str, list[Unit]]:
    """Units by split; where two splits are in equal need, the first is served."""
    total = sum(counts.values(), Counter[str]())
    wanted = {
        split: {label: share * total[label] for label in total} for split, share in shares.items()
    }
    room = {split: share * sum(map(len, counts)) for split, share in shares.items()}
    found: dict[str, list[Unit]] = {split: [] for split in shares}
    left = dict.fromkeys(counts)
    remaining = Counter(total)
    while left:
        rarest = min(
            (label for label in remaining if remaining[label] > 0), key=lambda x: (remaining[x], x)
        )
        # Large units first: small ones can make up for what they overfill.
        having = sorted((unit for unit in left if counts[unit][rarest]), key=len, reverse=True)
        for unit in having:
            split = max(shares, key=lambda name: (wanted[name][rarest], room[name]))
            found[split].append(unit)
            del left[unit]
            remaining.subtract(counts[unit])
            room[split] -= len(unit)
            for label, count in counts[unit].items():
                wanted[split][label] -= count
    return found


def _fill_empty(found: dict[str, list[Unit]], counts: Mapping[Unit, Counter[str]]) -> None:
    """Give a split without boxes a small unit of the largest split, if possible no class's last."""

    def is_annotated(unit: Unit) -> bool:
        return set(counts[unit]) != {NO_BOXES}

    for split, own in found.items():
        if any(map(is_annotated, own)):
            continue
        donor = max(found, key=lambda name: sum(map(is_annotated, found[name])))
        held = sum((counts[unit] for unit in found[donor]), Counter[str]())

        def loss(unit: Unit, held: Counter[str] = held) -> tuple[int, int]:
            return sum(held[label] == counts[unit][label] for label in counts[unit]), len(unit)

        moved = min(filter(is_annotated, found[donor]), key=loss)
        found[donor].remove(moved)
        found[split].append(moved)
