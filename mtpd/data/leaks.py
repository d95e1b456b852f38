"""The same picture in two splits, by its bytes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

from mtpd.data.images import THREADS
from mtpd.errors import UserError


def shared_pictures(where: object, splits: Mapping[str, Sequence[Path]]) -> list[UserError]:
    """One remark for every two splits that share pictures, with their number.

    Only files of the same size are read.

    Args:
        where: What the remarks are about.
        splits: Image files of each split; those that are not there are passed over.
    """
    keys = _keys({file for files in splits.values() for file in files})
    remarks = []
    for first, second in combinations(splits, 2):
        known = {keys[file]: file for file in reversed(splits[first]) if file in keys}
        both = [file for file in splits[second] if keys.get(file) in known]
        if both:
            problem = (
                f"{len(both)} pictures of {second} are in {first} too (first {both[0]}, which is "
                f"{known[keys[both[0]]]})"
            )
            remedy = f"figures of {second} tell little then; take them out of one of the two"
            remarks.append(UserError(where, problem, remedy))
    return remarks


def _keys(files: Iterable[Path]) -> dict[Path, str]:
    """What two files have in common if and only if they have the same bytes."""
    by_size = defaultdict(list)
    for file in files:
        try:
            by_size[file.stat().st_size].append(file)
        except OSError:
            continue
    alone = {group[0]: str(group[0]) for group in by_size.values() if len(group) == 1}
    others = [file for group in by_size.values() if len(group) > 1 for file in group]
    with ThreadPoolExecutor(THREADS) as pool:
        return {**alone, **dict(zip(others, pool.map(_digest, others, chunksize=16), strict=True))}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return str(path)
