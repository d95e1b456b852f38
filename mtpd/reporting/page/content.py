"""What the page shows, section by section; nothing here knows where files lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mtpd.evaluation.coco import PrecisionCurves
from mtpd.evaluation.errors import Errors
from mtpd.evaluation.judging import Outcome

Role = Literal["baseline", "alone", "direct", "progressive", "teacher"]
"""What a model is in the comparison; each has its colour, the same everywhere on the page."""

ROLES: dict[Role, str] = {
    "baseline": "student without teacher",
    "alone": "trained on without teacher",
    "direct": "one teacher alone",
    "progressive": "one teacher after the other",
    "teacher": "last teacher of the chain",
}


@dataclass(frozen=True)
class Model:
    """A model that is shown beside others: its role, and its name in the experiment."""

    role: Role
    name: str

    @property
    def words(self) -> str:
        """What it is, in words."""
        return ROLES[self.role]


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: As it is shown.
        key: What rows are sorted by; None: the text.
        role: Of the model that it names, which marks it with the model's colour.
        share: From 0 to 1: drawn as a bar, or as the shade of a matrix.
        note: Shown where the pointer rests, and below the text of a matrix.
        is_hash: Shown in letters of one width.
        frames: Of a matrix: numbers of the steps that lead over this cell, by run.
    """

    text: str
    key: float | None = None
    role: Role | None = None
    share: float | None = None
    note: str = ""
    is_hash: bool = False
    frames: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Column:
    """A column: its heading, whether it holds numbers, what it means, and whose it is."""

    title: str
    is_number: bool = False
    note: str = ""
    role: Role | None = None


@dataclass(frozen=True)
class Table:
    """A table that a reader can sort."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Finding:
    """What was found: two sentences, and the figures that they rest on."""

    sentences: tuple[str, str]
    figures: tuple[tuple[Model, str, str], ...] = ()
    """Model, its AP, and what else there is to say of it."""
    figure: str = "AP"


@dataclass(frozen=True)
class Line:
    """A line of a chart: points, and those of them that are marked with a word.

    Attributes:
        name: Of the model or run.
        role: Its role; None: it stands in the background.
        points: (x, y).
        marks: (x, y, text).
    """

    name: str
    role: Role | None
    points: tuple[tuple[float, float], ...]
    marks: tuple[tuple[float, float, str], ...] = ()


@dataclass(frozen=True)
class Step:
    """A decision that led to an order: in words, and the teachers it was between."""

    reason: str
    candidates: Table | None = None


@dataclass(frozen=True)
class OrderOfRun:
    """The order of one run, and the steps that decided it."""

    run: str
    strategy: str
    teachers: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class ErrorsOfModel:
    """The errors of a model among detections of at least ``threshold``."""

    model: Model
    errors: Errors
    threshold: float


@dataclass(frozen=True)
class Box:
    """A box of a picture: left, top, width, height in pixels, what it says, and what it is."""

    box: tuple[float, float, float, float]
    text: str
    outcome: Outcome | Literal["object", "missed"]


@dataclass(frozen=True)
class Panel:
    """One model's view of a picture; without a model, the ground truth."""

    model: Model | None
    boxes: tuple[Box, ...]
    f1: float | None = None


@dataclass(frozen=True)
class Picture:
    """An image with what each model found in it.

    Attributes:
        number: Id of the image.
        name: Of the file.
        uri: The image itself, as a data URI.
        width, height: Of the image that the boxes are for.
        panels: Ground truth first.
        spread: Highest less lowest F1 of the students.
    """

    number: int
    name: str
    uri: str
    width: int
    height: int
    panels: tuple[Panel, ...]
    spread: float


@dataclass(frozen=True)
class Pictures:
    """The images in which the models differ most, of those that there are."""

    split: str
    images: int
    thresholds: tuple[tuple[Model, float], ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class FeatureMaps:
    """Strength of the pyramid's maps of one image.

    Attributes:
        image: Name of its file.
        uri: The image as a data URI.
        strides: Of the levels, finest first.
        rows: Title → role → map of each level (height, width), from 0 to 1.
        likeness: Title → for each level, Pearson's correlation with the last teacher's map.
    """

    image: str
    uri: str
    strides: tuple[int, ...]
    rows: Mapping[str, Sequence[np.ndarray]]
    roles: Mapping[str, Role]
    likeness: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Report:
    """All of the page. Parts that are None are not measured yet; ``remarks`` say why."""

    experiment: str
    description: str
    split: str
    finding: Finding
    models: tuple[Model, ...] = ()
    remarks: tuple[str, ...] = ()
    results: Table | None = None
    stages: Table | None = None
    curves: tuple[Line, ...] = ()
    matrix: Table | None = None
    orders: tuple[OrderOfRun, ...] = ()
    order_remarks: tuple[str, ...] = ()
    classes: Table | None = None
    sizes: Table | None = None
    precision: tuple[tuple[Model, PrecisionCurves], ...] = ()
    errors: tuple[ErrorsOfModel, ...] = ()
    pictures: Pictures | None = None
    maps: FeatureMaps | None = None
    facts: tuple[Table, ...] = field(default=())
    settings: str = ""
