"""RetinaNet, ATSS and DDOD: deltas of the anchors at every position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdet.models.utils import unpack_gt_instances
from torch import Tensor

from mtpd.distillation.heads.base import DenseHeadAdapter


class AnchorAdapter(DenseHeadAdapter):
    """Decodes with the head's own box coder."""

    counts_positives = True

    def decode(self, priors: Tensor, raw: Tensor, level: int) -> Tensor:  # noqa: ARG002
        """Boxes from deltas (N, P, 4)."""
        # One row for every box: MMDetection decodes batches in a way meant for exports.
        boxes: Tensor = self.head.bbox_coder.decode(priors.flatten(0, 1), raw.flatten(0, 1))
        return boxes.view_as(raw)

    def positive_count(self, outputs: tuple[Sequence[Tensor], ...], samples: Any) -> float:
        """As the head's own assignment of anchors to boxes has it."""
        *_, count = self.targets(outputs, samples)
        return float(count)

    def targets(self, outputs: tuple[Sequence[Tensor], ...], samples: Any) -> Any:
        """What the head's own ``get_targets`` gives."""
        truth, ignored, metas = unpack_gt_instances(samples)
        grids = [scores.shape[-2:] for scores in outputs[0]]
        anchors, flags = self.head.get_anchors(grids, metas, device=outputs[0][0].device)
        return self.head.get_targets(
            anchors, flags, truth, metas, batch_gt_instances_ignore=ignored
        )


class DDODAdapter(AnchorAdapter):
    """DDOD assigns in two ways, one for each branch, so that it has no one number of positives."""

    counts_positives = False
