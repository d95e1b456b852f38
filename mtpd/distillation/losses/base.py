"""What every distillation loss is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NoReturn, TypeVar

from torch import Tensor, nn

from mtpd.distillation.features import Features, GroundTruth
from mtpd.distillation.pairing import Side
from mtpd.errors import UserError
from mtpd.settings.losses import LossSettings

Value = TypeVar("Value")


class DistillationLoss(nn.Module, ABC):
    """A loss between student and teacher at the paired levels.

    Built from its settings, completed by what is published, and the two sides of the pair; holds
    whatever is trained beside the student, and nothing of it outlives the stage.

    Attributes:
        needs_heads: Whether it looks at the heads' towers and the teacher's predictions.
        needs_distributions: Whether it looks at the heads' distributions over distances.
        needs_predictions: Whether it looks at both heads' predictions.
        settings: What it was built from.
    """

    needs_heads: ClassVar[bool] = False
    needs_distributions: ClassVar[bool] = False
    needs_predictions: ClassVar[bool] = False

    @property
    def works_in_head(self) -> bool:
        """Whether it looks at a dense head, and not at the maps of the neck alone."""
        return self.needs_heads or self.needs_distributions or self.needs_predictions

    def __init__(self, settings: LossSettings) -> None:
        super().__init__()
        self.settings = settings

    @abstractmethod
    def forward(self, student: Features, teacher: Features, truth: GroundTruth) -> Tensor:
        """Scalar, already multiplied with its weights; maps (N, C, H, W)."""


def require_same_classes(kind: str, student: Side, teacher: Side) -> None:
    """Refuse heads of unlike numbers of classes for losses that compare their predictions.

    Raises:
        UserError: The numbers differ.
    """
    own, other = student.anatomy.classes, teacher.anatomy.classes
    if own != other:
        raise UserError(
            f"{student.name} and {teacher.name}",
            f"{kind} needs heads of as many classes (they have {own} and {other})",
            "give both the same num_classes",
        )


def refuse_earlier_check(side: Side, looked_for: str) -> NoReturn:
    """Refuse what a check of an earlier version found, which ``looked_for`` was no part of."""
    raise UserError(
        f"{side.name}: check.json",
        f"was written by an earlier version, which did not look at {looked_for}",
        "delete it: it is made again",
    )


def given(value: Value | None) -> Value:
    """A setting that may be left out in the YAML, and has been completed before a loss is built."""
    assert value is not None, "the settings are not completed"
    return value
