"""Reading the towers of a dense head while it works."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class TowerTap:
    """Keeps what two tower convolutions gave since it was last asked, level by level.

    Heads pass their levels one after the other through the same convolutions, finest first.

    Args:
        classification: Convolution of the classification tower.
        regression: Convolution of the regression tower.
    """

    def __init__(self, classification: nn.Module, regression: nn.Module) -> None:
        self._maps: tuple[list[Tensor], list[Tensor]] = ([], [])
        for module, maps in zip((classification, regression), self._maps, strict=True):
            module.register_forward_hook(_keeping(maps))

    def take(self) -> tuple[list[Tensor], list[Tensor]]:
        """Maps (N, C, H, W) of all levels of both towers; the tap lets go of them."""
        classification, regression = (list(maps) for maps in self._maps)
        for maps in self._maps:
            maps.clear()
        return classification, regression


def _keeping(maps: list[Tensor]) -> Any:
    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        maps.append(output)

    return hook
