"""How much is in a split."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """What a split consists of; None where it is not known or there is no such thing.

    Attributes:
        images: Images that the annotations name.
        boxes: Annotations, crowds included.
        crowds: Those that mark a crowd or a region to ignore.
        classes: Categories.
        sequences: Videos that the images are frames of.
    """

    images: int | None = None
    boxes: int | None = None
    crowds: int | None = None
    classes: int | None = None
    sequences: int | None = None
