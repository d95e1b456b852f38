"""The one kind of error that a user can mend."""

from __future__ import annotations

import re
from collections.abc import Sequence


class UserError(Exception):
    """Something that came from outside is wrong. ``str(error)`` is one line for the user.

    Args:
        where: The file, and the key or item inside it, for example ``"demo.yaml: data.source"``.
        problem: What is wrong there.
        remedy: What would be right.
        parts: Every single problem, where this line sums up several.
    """

    def __init__(
        self, where: object, problem: str, remedy: str, parts: tuple[UserError, ...] = ()
    ) -> None:
        self.parts = parts
        self.where = str(where)
        self.problem = problem
        self.remedy = remedy
        line = f"{where}: {problem}; {remedy}"
        # Only line breaks: names of files may have double spaces, or others than the usual one.
        super().__init__(re.sub(r"[ \t]*[\r\n\v\f\x85\u2028\u2029]\s*", " ", line).strip())


class MachineError(UserError):
    """Something is wrong with this machine; on another one the same may work."""


class DivergedError(UserError):
    """A training's loss is not finite any more, and will not become so again."""


class Interrupted(Exception):  # noqa: N818  no error
    """A job was told to end, and can go on later; ``str(event)`` says from where."""


def raise_first(problems: Sequence[UserError]) -> None:
    """Raise the first problem, with the number of the others, if there is any.

    Raises:
        UserError: ``parts`` has all of them.
    """
    if problems:
        first = problems[0]
        others = f" (and {len(problems) - 1} more)" * (len(problems) > 1)
        raise UserError(first.where, first.problem + others, first.remedy, tuple(problems))
