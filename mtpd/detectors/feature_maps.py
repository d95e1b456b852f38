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
    """One FPN level.

    Attributes:
        stride: In input pixels.
        channels: Of its map.
        subsampled: Whether its map is every second row and column of the level before, and nothing
            else, as where an FPN pools its last level.
    """

    stride: int
    channels: int
    subsampled: bool = False


class NeckTap:
    """Keeps the maps that a detector's neck gave in its latest forward pass.

    A forward hook, so the maps cost no second pass. ``take`` gives them once and lets go of them,
    so that no graph outlives its step.

    Args:
        detector: Any with a neck.
        before_norm: Take what the neck's last convolutions give, before their norm.

    Raises:
        UserError: It has no neck, or one whose convolutions cannot be told.
    """

    def __init__(self, detector: nn.Module, before_norm: bool = False) -> None:
        self._maps: tuple[Tensor, ...] | None = None
        neck = neck_of(detector)
        if not before_norm:
            neck.register_forward_hook(self._keep)
            return
        self._convolved: list[Tensor] = []
        neck.register_forward_pre_hook(lambda *_: self._convolved.clear())
        for convolution in last_convolutions(neck):
            convolution.register_forward_hook(self._add)
        neck.register_forward_hook(self._keep_convolved)

    def _add(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self._convolved.append(output)

    def _keep_convolved(self, module: nn.Module, inputs: Any, _output: Any) -> None:
        self._keep(module, inputs, self._convolved)
        self._convolved.clear()

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


def last_convolutions(neck: nn.Module) -> list[nn.Module]:
    """The convolutions of an FPN that give its levels, finest first, without norm and activation.

    Raises:
        UserError: It is no such FPN, or pools a level.
    """
    modules = list(getattr(neck, "fpn_convs", []))
    found = [getattr(module, "conv", None) for module in modules]
    # A path aggregation FPN has further convolutions after these.
    further = hasattr(neck, "pafpn_convs")
    if not found or None in found or len(found) != neck.num_outs or further:
        raise UserError(
            type(neck).__name__,
            "does not have one convolution for each level, so there are no maps before its norm",
            "leave out the method's tap",
        )
    return [convolution for convolution in found if convolution is not None]


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
    # Noise, as a blank image could make maps equal that are not.
    noise = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, PROBE_SIZE, PROBE_SIZE, generator=noise).to(device)
    with evaluating(detector):
        maps = detector.extract_feat(image)
    levels = []
    for index, own in enumerate(maps):
        finer = maps[index - 1][..., ::2, ::2] if index else None
        subsampled = finer is not None and torch.equal(own, finer)
        levels.append(Level(round(PROBE_SIZE / own.shape[-1]), own.shape[1], subsampled))
    return tuple(levels)


def pair_levels(
    student: Sequence[Level], teacher: Sequence[Level], names: tuple[str, str]
) -> list[tuple[int, int]]:
    """Indices (student's, teacher's) of the levels that have the same stride.

    One that is only a subsample of the level before, in both, is left out: it would be distilled
    twice.

    Args:
        student: The student's levels.
        teacher: The teacher's levels.
        names: Their names, for the message.

    Raises:
        UserError: They share no stride.
    """
    place = {level.stride: index for index, level in enumerate(teacher)}
    pairs = [
        (index, place[level.stride])
        for index, level in enumerate(student)
        if level.stride in place
        and not (level.subsampled and teacher[place[level.stride]].subsampled)
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
