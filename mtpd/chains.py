"""Chains of stages and the texts that name them.

A chain is written as its stages with ``+`` between them. A stage is the name of its teacher, or
``none`` where the student trains on alone; ``@16`` behind it says that it runs 16 epochs instead
of its method's own number. ``t1+t2@16`` is two stages. A stage is named by the chain that it
ends, so chains that begin alike have their first stages in common. ``~1`` at the end says that
all stages were trained from the random seed 1 instead of the experiment's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mtpd.errors import UserError

NO_TEACHER = "none"
"""The reserved name of a stage without teacher."""

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
"""Regular expression of a name, without anchors or groups; it cannot exclude ``none``."""

_STAGE_PATTERN = rf"{NAME_PATTERN}(?:@[1-9][0-9]*)?"

CHAIN_PATTERN = rf"{_STAGE_PATTERN}(?:\+{_STAGE_PATTERN})*(?:~(?:0|[1-9][0-9]*))?"
"""Regular expression of a chain's text, without anchors or named groups."""

MAX_LENGTH = 240
"""Longest text of a chain: it names a folder, and file systems end names at 255 bytes."""


def is_valid_name(name: str) -> bool:
    """Whether ``name`` may name a teacher, method, run or experiment."""
    return re.fullmatch(NAME_PATTERN, name) is not None and name != NO_TEACHER


def check_name(where: object, name: str) -> None:
    """Do nothing if :func:`is_valid_name`.

    Args:
        where: File and key that ``name`` comes from, for the message.
        name: The name in question.

    Raises:
        UserError: The name cannot be part of a chain's text or of a folder's name.
    """
    if name == NO_TEACHER:
        raise UserError(
            where,
            f"the name {name!r} is reserved for a stage without teacher",
            "choose another name",
        )
    if not is_valid_name(name):
        raise UserError(
            where,
            f"{name!r} is not a valid name",
            "start with a letter or digit and go on with letters, digits, '_', '.' and '-'",
        )


@dataclass(frozen=True)
class Stage:
    """One training of the student.

    Attributes:
        teacher: Name of the teacher, or None where the student trains on alone.
        epochs: Length of the training, or None for the method's own.

    Raises:
        UserError: The name is not valid or there is less than one epoch.
    """

    teacher: str | None
    epochs: int | None = None

    def __post_init__(self) -> None:
        if self.teacher is not None:
            check_name("chain", self.teacher)
        if self.epochs is not None and self.epochs < 1:
            raise UserError(
                f"chain: {self}", "has a stage of less than one epoch", "give 1 or more behind '@'"
            )

    def __str__(self) -> str:
        name = NO_TEACHER if self.teacher is None else self.teacher
        return name if self.epochs is None else f"{name}@{self.epochs}"


@dataclass(frozen=True)
class Chain:
    """The stages of one student in order; ``str(chain)`` is the text that names its last stage.

    Attributes:
        stages: First to last.
        seed: Random seed of every stage, or None for the experiment's own.

    Raises:
        UserError: There is no stage, or the text would be longer than ``MAX_LENGTH``.
    """

    stages: tuple[Stage, ...]
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.stages:
            raise UserError("chain", "has no stage", f"name a teacher, or {NO_TEACHER!r}")
        if len(str(self)) > MAX_LENGTH:
            raise UserError(
                f"chain: {self}",
                f"is {len(str(self))} characters long and has to name a folder",
                f"use shorter names or fewer teachers, at most {MAX_LENGTH} characters in all",
            )

    @classmethod
    def parse(cls, text: str) -> Chain:
        """The chain that ``text`` names; the inverse of ``str``.

        Raises:
            UserError: The text names no chain.
        """
        if not re.fullmatch(CHAIN_PATTERN, text):
            raise UserError(
                f"chain: {text!r}",
                "is not a chain",
                "join teachers by '+', give epochs behind '@' and a seed behind '~', "
                "such as t1+t2@16~1",
            )
        stages, _, seed = text.partition("~")
        return cls(
            tuple(_parse_stage(part) for part in stages.split("+")), int(seed) if seed else None
        )

    def __str__(self) -> str:
        stages = "+".join(map(str, self.stages))
        return stages if self.seed is None else f"{stages}~{self.seed}"

    @property
    def last(self) -> Stage:
        """The stage that ends the chain."""
        return self.stages[-1]

    @property
    def parent(self) -> Chain | None:
        """The chain without its last stage, or None for a chain of one."""
        return Chain(self.stages[:-1], self.seed) if len(self.stages) > 1 else None

    def prefixes(self) -> list[Chain]:
        """The chains that end at each of the stages: shortest first, this chain last."""
        counts = range(1, len(self.stages) + 1)
        return [Chain(self.stages[:count], self.seed) for count in counts]


def _parse_stage(text: str) -> Stage:
    name, _, epochs = text.partition("@")
    return Stage(None if name == NO_TEACHER else name, int(epochs) if epochs else None)
