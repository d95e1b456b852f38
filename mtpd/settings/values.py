"""Values as people write them: text that looks like a number, paths with ``~``, hashes.

YAML reads ``2024``, ``1e3`` and ``8e864411`` as numbers. :mod:`mtpd.settings.reading` keeps what
was written beside the number, so that a setting that is a text gets the text.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Settings(BaseModel):
    """Base of all settings: unknown keys are refused, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SettingError(ValueError):
    """What a validator says of a setting. Pydantic hands it on whole, in the error's ``ctx``.

    Args:
        key: Dotted key, relative to what is validated; empty: that itself.
        problem: What is wrong there.
        remedy: What would be right.
    """

    def __init__(self, key: str, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.key = key
        self.problem = problem
        self.remedy = remedy


class WrittenInt(int):
    """An integer of a YAML file, with its text."""

    text: str


class WrittenFloat(float):
    """A number of a YAML file, with its text."""

    text: str


def as_text(value: Any, key: str = "") -> Any:
    """The text that was written where YAML reads a number; anything else as it is.

    Raises:
        SettingError: The text of the value at ``key`` is not known any more: YAML has read a truth
            value, for example.
    """
    if isinstance(value, WrittenInt | WrittenFloat):
        return value.text
    if isinstance(value, bool):
        words = "yes, on and true" if value else "no, off and false"
        problem = f"{words} without quotes are {str(value).lower()} in YAML, not text"
        raise SettingError(key, problem, "put it in quotes")
    if isinstance(value, float):
        raise SettingError(key, f"is read as the number {value}, not as text", "put it in quotes")
    return str(value) if isinstance(value, int) else value


def as_values(value: Any) -> Any:
    """``value`` with ordinary numbers, for what is handed on to others as it is."""
    if isinstance(value, dict):
        return {key: as_values(part) for key, part in value.items()}
    if isinstance(value, list):
        return [as_values(part) for part in value]
    if isinstance(value, WrittenInt):
        return int(value)
    return float(value) if isinstance(value, WrittenFloat) else value


def in_home(value: Any) -> Any:
    """A path whose ``~`` at the start is the home folder."""
    text = as_text(value)
    return os.path.expanduser(text) if isinstance(text, str | Path) else text  # noqa: PTH111


def _one_or_several(value: Any) -> Any:
    return value if value is None or isinstance(value, list | tuple) else (value,)


def _small_letters(value: Any) -> Any:
    text = as_text(value)
    return text.lower() if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(as_text)]
"""A name or other text."""

UserPath = Annotated[Path, BeforeValidator(in_home)]
"""A path that a person writes."""

UserPaths = Annotated[
    tuple[UserPath, ...],
    Field(min_length=1),
    BeforeValidator(_one_or_several, json_schema_input_type=str | list[str]),
]
"""One path, or a list of several."""

UserFile = Annotated[str, BeforeValidator(in_home)]
"""A path that a person writes, where an address or a name of another kind may stand as well."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{8,64}$"), BeforeValidator(_small_letters)]
"""Start of a SHA-256, in small letters."""

Values = Annotated[dict[str, Any], BeforeValidator(as_values)]
"""Settings of others by their names, handed on as they are."""
