"""Reading a dense head while it works: its towers, and what it gives."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from mtpd.distillation.heads import DenseHeadAdapter


class TowerTap:
    """Keeps what the first convolutions of a head's towers gave in its latest forward pass.

    A head passes its levels one after the other through the same convolutions, finest first.
    """

    def __init__(self, adapter: DenseHeadAdapter) -> None:
        self._maps: tuple[list[Tensor], list[Tensor]] = ([], [])
        adapter.head.register_forward_pre_hook(self._begin)
        for tower, module in enumerate(adapter.first_convolutions):
            module.register_forward_hook(partial(self._keep, tower))

    def take(self) -> tuple[list[Tensor], list[Tensor]]:
        """Maps (N, C, H, W) of all levels, classification and regression; the tap lets go."""
        maps, self._maps = self._maps, ([], [])
        return maps

    def _begin(self, _head: nn.Module, _inputs: Any) -> None:
        self._maps = ([], [])

    def _keep(self, tower: int, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self._maps[tower].append(output)


class OutputTap:
    """Keeps what a head gave in its latest forward pass."""

    def __init__(self, adapter: DenseHeadAdapter) -> None:
        self._outputs: Any = None
        adapter.head.register_forward_hook(self._keep)

    def take(self) -> Any:
        """The outputs, by kind and level; the tap lets go."""
        outputs, self._outputs = self._outputs, None
        return outputs

    def _keep(self, _module: nn.Module, _inputs: Any, outputs: Any) -> None:
        self._outputs = outputs
