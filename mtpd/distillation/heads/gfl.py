"""GFL: distributions over distances, in strides, to the box's sides."""

from __future__ import annotations

from mmdet.structures.bbox import distance2bbox
from torch import Tensor

from mtpd.distillation.heads.base import DenseHeadAdapter
from mtpd.errors import UserError


class GFLAdapter(DenseHeadAdapter):
    """Takes each side's expected distance.

    PGD's released code gives image i of the batch the stride of level i, in every level.
    """

    def decode(self, priors: Tensor, raw: Tensor, level: int) -> Tensor:
        """Boxes from logits (N, H·W, 4·(reg_max + 1))."""
        strides = [each[0] for each in self.head.prior_generator.strides]
        if self.as_released:
            if len(raw) > len(strides):
                most = len(strides)
                raise UserError(
                    "pgd: reading",
                    f"release takes at most {most} images on one GPU with GFL, not {len(raw)}",
                    f"set training.batch_size to at most {most}, or reading to text",
                )
            stride = raw.new_tensor(strides[: len(raw)])[:, None, None]
        else:
            stride = strides[level]
        distances = self.head.integral(raw).reshape(*raw.shape[:2], 4) * stride
        return distance2bbox((priors[..., :2] + priors[..., 2:]) / 2, distances)
