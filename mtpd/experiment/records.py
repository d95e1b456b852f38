"""The record that a job leaves beside its results: what they were made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mtpd.errors import UserError
from mtpd.files import read_json, write_json


@dataclass(frozen=True)
class Record:
    """What a result was made from.

    Attributes:
        identity: Digest of the whole.
        settings: Of the recipe.
        inputs: Digest of every input, by the part that it plays.
        outputs: Of the prepared data alone: digest of every part.
    """

    identity: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_json(path, asdict(self))


def read_record(path: Path) -> Record | None:
    """The record at ``path``; None: there is none. What is no record differs from every recipe."""
    if not path.is_file():
        return None
    try:
        return Record(**read_json(path))
    except (UserError, TypeError):
        return Record("", {}, {})
