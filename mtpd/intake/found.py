"""What a folder was recognised as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Parts = dict[str, tuple[str, ...]]
"""Image file names by split, as ``data.split`` lists them."""

POOL = ""
"""In place of a split's name: images of none."""


@dataclass(frozen=True)
class Found:
    """A data set in a folder.

    Attributes:
        kind: Its format, in words.
        data: Settings of ``data`` that read it. They lack ``split`` if ``parts`` is there.
        parts: None: the settings name train and val. Otherwise the images of the splits that the
            folder has; lists are written of them, and what is missing is drawn.
        remarks: What was understood or left out.
    """

    kind: str
    data: dict[str, Any]
    parts: Parts | None = None
    remarks: tuple[str, ...] = ()
