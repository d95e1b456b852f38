"""GFL: distributions over distances, in strides, to the box's sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.structures.bbox import distance2bbox
from torch import Tensor

from mtpd.distillation.heads.anchors import AnchorAdapter
from mtpd.errors import UserError


class GFLAdapter(AnchorAdapter):
    """Takes each side's expected distance.

    PGD's released code gives image i of the batch the stride of level i, in every level.
    """

    @property
    def bins(self) -> int:
        """One more than the largest distance in strides, which starts at 0."""
        return int(self.head.reg_max) + 1

    @torch.no_grad()
    def positives(self, outputs: tuple[Sequence[Tensor], ...], samples: Any) -> list[Tensor]:
        """The best score of the position where the head's assignment gives it a box, else 0."""
        _, labels, *_ = self.targets(outputs, samples)
        best = [scores.float().sigmoid().amax(1) for scores in outputs[0]]
        # The background's label is the number of classes.
        return [
            own * ((found >= 0) & (found < self.head.num_classes)).view_as(own)
            for own, found in zip(best, labels, strict=True)
        ]

    def decode(self, priors: Tensor, raw: Tensor, level: int) -> Tensor:
        """Boxes from logits (N, P, 4·(reg_max + 1))."""
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
