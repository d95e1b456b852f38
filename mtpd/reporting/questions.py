"""The few questions of ``mtpd init``, each with its proposal as the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO, TypeVar

from rich.console import Console
from rich.prompt import Confirm, Prompt

from mtpd.errors import UserError
from mtpd.intake.choice import Choice, choose, choose_all
from mtpd.intake.proposal import Wishes
from mtpd.settings.experiment import Experiment

T = TypeVar("T")


@dataclass(frozen=True)
class Answers:
    """What the user has said; None: as proposed."""

    name: str
    student: Choice | None
    teachers: tuple[Choice, ...] | None
    size: tuple[int, int] | None
    hours: float | None

    def changes(self, wishes: Wishes) -> Wishes:
        """``wishes`` with what was answered otherwise than proposed."""
        return replace(
            wishes,
            student=self.student or wishes.student,
            teachers=wishes.teachers if self.teachers is None else self.teachers,
            size=self.size or wishes.size,
        )


def ask(name: str, proposed: Experiment, console: Console, stream: TextIO | None = None) -> Answers:
    """Ask what matters; an empty answer takes what is proposed, and a wrong one is asked again.

    Args:
        name: Proposed for the experiment.
        proposed: The experiment.
        console: Where the questions are printed.
        stream: Where the answers come from; None: the terminal.
    """
    console.print()
    teachers, size = ",".join(proposed.teachers), proposed.pipeline.size or (0, 0)
    sides = f"{size[0]}x{size[1]}"

    def one(question: str, default: str, read: Callable[[str], T]) -> T | None:
        while True:
            given = Prompt.ask(question, default=default, console=console, stream=stream).strip()
            if given in ("", default):
                return None
            try:
                return read(given)
            except UserError as error:
                console.print(f"{error.problem}; {error.remedy}", style="red", markup=False)

    return Answers(
        name=Prompt.ask("name", default=name, console=console, stream=stream).strip(),
        student=one("student", proposed.student.name, lambda text: choose("student", text)),
        teachers=one("teachers", teachers, lambda text: tuple(choose_all("teachers", [text]))),
        size=one("image size", sides, _size),
        hours=one("hours that it may take", "as proposed", _hours),
    )


def confirm(path: Path, console: Console, stream: TextIO | None = None) -> bool:
    """Ask whether the experiment is written."""
    question = f"write {path}?"
    return Confirm.ask(question, default=True, console=console, stream=stream)


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().replace("x", " ").split()
    if len(parts) != 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UserError("size", f"'{text}' is no size", "give two numbers of pixels, as 320x240")
    return int(parts[0]), int(parts[1])


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours < float("inf"):
        raise UserError("hours", f"'{text}' is no number of hours", "give one, as 0.5")
    return hours
