"""The one kind of error that a user can mend."""

from __future__ import annotations


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
        super().__init__(" ".join(line.split()))


class MachineError(UserError):
    """Something is wrong with this machine; on another one the same may work."""


class DivergedError(UserError):
    """A training's loss is not finite any more, and will not become so again."""


class Interrupted(Exception):  # noqa: N818  no error
    """A job was told to end, and can go on later; ``str(event)`` says from where."""
