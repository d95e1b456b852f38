"""ATSS and DDOD: deltas of one square anchor at every position."""

from __future__ import annotations

from torch import Tensor

from mtpd.distillation.heads.base import DenseHeadAdapter


class ATSSAdapter(DenseHeadAdapter):
    """Decodes with the head's own box coder."""

    def decode(self, priors: Tensor, raw: Tensor, level: int) -> Tensor:  # noqa: ARG002
        """Boxes from deltas (N, H·W, 4)."""
        boxes: Tensor = self.head.bbox_coder.decode(priors, raw)
        return boxes
