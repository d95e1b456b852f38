"""What two detectors have in common: the levels by which one can teach the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from mtpd.detectors.feature_maps import Level, fpn_levels, pair_levels
from mtpd.distillation.heads import DenseHeadAdapter, adapter_of
from mtpd.settings.losses import ONE_STAGE, TWO_STAGE


@dataclass(frozen=True)
class Anatomy:
    """What losses need to know of a detector.

    Attributes:
        levels: Outputs of the neck, finest first.
        kind: ``one-stage`` or ``two-stage``.
        head: Class of its head, for example ``FCOSHead``; of the RoI head with two stages.
        classes: Number of classes of a dense head; 0 with two stages.
        tower_channels: Channels after the first convolution of the head's towers; 0 where these
            cannot be read.
        obstacle: Why they cannot; None where they can.
        bins: Distances over which the head predicts distributions for the sides of a box; 0: it
            does not; None: not known, as an earlier version did not look.
        priors: Priors at a position whose scores and boxes can be read; 0: they cannot; None:
            likewise.
        anchors: What tells several anchors at a position from those of other heads.
    """

    levels: tuple[Level, ...]
    kind: str
    head: str
    classes: int
    tower_channels: int
    obstacle: str | None
    bins: int | None = None
    priors: int | None = None
    anchors: str | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Anatomy:
        """From what :func:`dataclasses.asdict` made of one; other keys are passed over.

        Raises:
            KeyError: One of its own is missing.
        """
        levels = tuple(Level(**level) for level in raw["levels"])
        later: dict[str, Any] = {name: raw.get(name) for name in ("bins", "priors", "anchors")}
        names = [field.name for field in fields(cls) if field.name not in ("levels", *later)]
        return cls(levels, **{name: raw[name] for name in names}, **later)


@dataclass(frozen=True)
class Side:
    """One detector of a pair.

    Attributes:
        name: As messages call it.
        anatomy: Of the detector.
        levels: Indices of the paired levels among the neck's outputs.
    """

    name: str
    anatomy: Anatomy
    levels: tuple[int, ...]

    @property
    def channels(self) -> tuple[int, ...]:
        """FPN channels of the paired levels."""
        return tuple(self.anatomy.levels[level].channels for level in self.levels)


@dataclass(frozen=True)
class Pair:
    """Student and teacher with the strides of their paired levels, finest first."""

    student: Side
    teacher: Side
    strides: tuple[int, ...]

    @property
    def same_levels(self) -> bool:
        """Whether both necks give levels of the same strides, paired or not."""
        own, other = (
            [level.stride for level in side.anatomy.levels] for side in (self.student, self.teacher)
        )
        return own == other


def anatomy_of(detector: nn.Module, adapter: DenseHeadAdapter | None = None) -> Anatomy:
    """Anatomy of ``detector``, its levels found by one small forward pass.

    Args:
        detector: Any of MMDetection's.
        adapter: Of its dense head, where the caller has one; otherwise it is made here.

    Raises:
        UserError: It has no neck.
    """
    adapter = adapter or adapter_of(detector)
    obstacle = adapter.obstacle if adapter else "there is no adapter for it"
    two_stage = hasattr(detector, "roi_head")
    head = getattr(detector, "roi_head" if two_stage else "bbox_head", None)
    return Anatomy(
        levels=fpn_levels(detector),
        kind=TWO_STAGE if two_stage else ONE_STAGE,
        head="no box head" if head is None else type(head).__name__,
        classes=getattr(head, "num_classes", 0),
        tower_channels=adapter.tower_channels if adapter and not obstacle else 0,
        obstacle=obstacle,
        bins=adapter.bins if adapter and not obstacle else 0,
        priors=adapter.priors if adapter else 0,
        anchors=adapter.anchors if adapter else "",
    )


def pair(student: Anatomy, teacher: Anatomy, names: tuple[str, str]) -> Pair:
    """Pair the levels of equal stride.

    Args:
        student: The student's anatomy.
        teacher: The teacher's.
        names: Their names, for messages.

    Raises:
        UserError: No stride is common to both.
    """
    pairs = pair_levels(student.levels, teacher.levels, names)
    return Pair(
        Side(names[0], student, tuple(own for own, _ in pairs)),
        Side(names[1], teacher, tuple(other for _, other in pairs)),
        tuple(student.levels[own].stride for own, _ in pairs),
    )
