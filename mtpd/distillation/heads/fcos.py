"""FCOS and AutoAssign: distances from points to the box's sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures.bbox import distance2bbox
from torch import Tensor

from mtpd.distillation.heads.base import DenseHeadAdapter


class AutoAssignAdapter(DenseHeadAdapter):
    """The head gives distances in pixels. It weights positions; none is a positive or is not.

    What it calls scores counts only together with its objectness.
    """

    scores_stand_alone = False

    def decode(self, priors: Tensor, raw: Tensor, level: int) -> Tensor:  # noqa: ARG002
        """Boxes from distances (N, P, 4): left, top, right, bottom."""
        return distance2bbox(priors, raw)


class FCOSAdapter(DenseHeadAdapter):
    """Distances are in pixels; in training they are in strides if the head has ``norm_on_bbox``."""

    counts_positives = True

    def decode(self, priors: Tensor, raw: Tensor, level: int) -> Tensor:
        """Boxes from distances (N, P, 4): left, top, right, bottom."""
        in_strides = self.head.training and self.head.norm_on_bbox
        return distance2bbox(priors, raw * self.head.strides[level] if in_strides else raw)

    def positive_count(self, outputs: tuple[Sequence[Tensor], ...], samples: Any) -> float:
        """As the head's own assignment of points to boxes has it."""
        truth, _, _ = unpack_gt_instances(samples)
        grids = [scores.shape[-2:] for scores in outputs[0]]
        # In float32: coordinates above 256 are rounded in bfloat16.
        points = self.head.prior_generator.grid_priors(grids, device=outputs[0][0].device)
        labels, _ = self.head.get_targets(points, truth)
        # The background's label is the number of classes.
        return float((torch.cat(labels) < self.head.num_classes).sum())
