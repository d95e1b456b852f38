"""GFL: distributions over distances, in strides, to the box's sides."""

from __future__ import annotations

from mmdet.structures.bbox import distance2bbox
from torch import Tensor

from mtpd.distillation.heads.base import DenseHeadAdapter


class GFLAdapter(DenseHeadAdapter):
    """Takes each side's expected distance."""

    def decode(self, priors: Tensor, raw: Tensor, level: int) -> Tensor:
        """Boxes from logits (N, H·W, 4·(reg_max + 1))."""
        stride = self.head.prior_generator.strides[level][0]
        distances = self.head.integral(raw).reshape(*raw.shape[:2], 4) * stride
        return distance2bbox((priors[..., :2] + priors[..., 2:]) / 2, distances)
