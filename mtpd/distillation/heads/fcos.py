"""FCOS and AutoAssign: distances in pixels from points to the box's sides."""

from __future__ import annotations

from mmdet.structures.bbox import distance2bbox
from torch import Tensor

from mtpd.distillation.heads.base import DenseHeadAdapter


class FCOSAdapter(DenseHeadAdapter):
    """In eval mode both heads give distances in pixels, whatever they were trained to give."""

    def decode(self, priors: Tensor, raw: Tensor, level: int) -> Tensor:  # noqa: ARG002
        """Boxes from distances (N, H·W, 4): left, top, right, bottom."""
        return distance2bbox(priors, raw)
