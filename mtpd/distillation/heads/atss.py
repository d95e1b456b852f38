"""ATSS and DDOD: deltas of one square anchor at every position."""

from __future__ import annotations

from torch import Tensor

from mtpd.distillation.heads.base import DenseHeadAdapter


class ATSSAdapter(DenseHeadAdapter):
    """Decodes with the head's own box coder."""

    def decode(self, priors: Tensor, raw: Tensor, level: int) -> Tensor:  # noqa: ARG002
        """Boxes from deltas (N, H·W, 4)."""
        # One row for every box: MMDetection decodes batches in a way meant for exports.
        boxes: Tensor = self.head.bbox_coder.decode(priors.flatten(0, 1), raw.flatten(0, 1))
        return boxes.view_as(raw)
