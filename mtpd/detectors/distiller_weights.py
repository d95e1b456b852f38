"""The student in a checkpoint that a distiller of others has written.

Their model holds student and teacher, so that all names have one of these in front:

- MGD, FGD, PGD: ``student.``, beside ``teacher.`` and ``distill_losses.``. The first two also save
  the maps of the last batch, as ``student_neck_…`` and ``teacher_neck_…``.
- MMRazor: ``architecture.``, beside ``teacher.`` and ``distiller.``; its versions before 1.0
  ``architecture.model.``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

STUDENTS = ("architecture.model.", "architecture.", "student.")
"""What stands in front of a student's names, the longer first."""
PARTS = ("distiller.",)
"""What some versions of MMRazor keep inside the student."""

T = TypeVar("T")


def student_prefix(keys: Iterable[str]) -> str | None:
    """What stands in front of the student's names; None: it is no distiller's checkpoint."""
    names = list(keys)
    return next((p for p in STUDENTS if any(key.startswith(p) for key in names)), None)


def student_of(entries: Mapping[str, T], prefix: str) -> dict[str, T]:
    """The student's entries by its own names.

    Args:
        entries: Tensors, or versions of modules, by name.
        prefix: As :func:`student_prefix` gives.
    """
    own = {k.removeprefix(prefix): v for k, v in entries.items() if k.startswith(prefix)}
    return {key: value for key, value in own.items() if not key.startswith(PARTS)}


def left_out(keys: Iterable[str], prefix: str) -> str:
    """How many names of a checkpoint are not the student's, by their first part."""
    others = Counter(
        key.removeprefix(prefix).partition(".")[0]
        for key in keys
        if not key.startswith(prefix) or key.removeprefix(prefix).startswith(PARTS)
    )
    return ", ".join(f"{count} of {part}" for part, count in sorted(others.items())) or "none"
