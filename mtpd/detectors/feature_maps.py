"""Reading a detector's FPN maps while it works, and finding what levels it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mtpd.errors import UserError

PROBE_SIZE = 256


@dataclass(frozen=True)
class Level:
    """One FPN level: its stride in input pixels and its number of channels."""

    stride: int
    channels: int


class NeckTap:
    """Keeps the maps that a detector's neck gave in its latest forward pass.

    A forward hook, so the maps cost no second pass. ``take`` gives them once and lets go of them,
    so that no graph outlives its step.
    """

    def __init__(self, detector: nn.Module) -> None:
        self._maps: tuple[Tensor, ...] | None = None
        neck_of(detector).register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: Any, output: Sequence[Tensor]) -> None:
        self._maps = tuple(output)

    def take(self) -> tuple[Tensor, ...]:
        """The maps, one (N, C, H, W) tensor for each level, finest first."""
        if self._maps is None:
            raise RuntimeError("the detector's neck has not run since its maps were last taken")
        maps, self._maps = self._maps, None
        return maps


def neck_of(detector: nn.Module) -> nn.Module:
    """The detector's neck (FPN).

    Raises:
        UserError: It has none.
    """
    neck = getattr(detector, "neck", None)
    if neck is None:
        raise UserError(
            type(detector).__name__,
            "has no neck, so there are no feature-pyramid maps to distil",
            "use a detector with an FPN",
        )
    return neck


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put ``model`` into eval mode, without gradients, and give every module its mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def fpn_levels(detector: Any) -> tuple[Level, ...]:
    """Strides and channels of the neck's outputs, found by one small forward pass."""
    neck_of(detector)
    device = next(detector.parameters()).device
    image = torch.zeros(1, 3, PROBE_SIZE, PROBE_SIZE, device=device)
    with evaluating(detector):
        maps = detector.extract_feat(image)
    return tuple(Level(round(PROBE_SIZE / m.shape[-1]), m.shape[1]) for m in maps)


def pair_levels(
    student: Sequence[Level], teacher: Sequence[Level], names: tuple[str, str]
) -> list[tuple[int, int]]:
    """Indices (student's, teacher's) of the levels that have the same stride.

    Args:
        student: The student's levels.
        teacher: The teacher's levels.
        names: Their names, for the message.

    Raises:
        UserError: They share no stride.
    """
    place = {level.stride: index for index, level in enumerate(teacher)}
    pairs = [
        (index, place[level.stride]) for index, level in enumerate(student) if level.stride in place
    ]
    if not pairs:
        strides = [
            ", ".join(str(level.stride) for level in levels) for levels in (student, teacher)
        ]
        raise UserError(
            f"{names[0]} and {names[1]}",
            f"their FPN levels share no stride ({strides[0]} against {strides[1]})",
            "choose a teacher with a level of the same stride",
        )
    return pairs
