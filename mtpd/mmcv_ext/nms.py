"""Non-maximum suppression: hard, soft, and hard with a record of who suppressed whom.

Boxes are (x1, y1, x2, y2) in pixels. With ``offset`` 1 a box spans ``x2 - x1 + 1`` pixels (the
convention of MMDetection 1), with 0 it spans ``x2 - x1``.
"""

import torch
import torchvision
from torch import Tensor
from torchvision.ops import box_iou

from mtpd.mmcv_ext.precision import at_least_float32


def _spans(boxes: Tensor, offset: int) -> Tensor:
    """(N, 4) boxes whose plain extents ``x2 - x1`` and ``y2 - y1`` count the offset."""
    return at_least_float32(boxes) + boxes.new_tensor([0, 0, offset, offset])


def _iou_with(box: Tensor, others: Tensor) -> Tensor:
    """(N,) IoU of one box (4,) with N others; two boxes without area do not overlap."""
    return box_iou(box[None], others)[0].nan_to_num(0.0)


def nms(bboxes: Tensor, scores: Tensor, *, iou_threshold: float, offset: int) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        bboxes: (N, 4).
        scores: (N,).
        iou_threshold: A box falls when its IoU with a better one is above this.
        offset: 0 or 1, see the module.

    Returns:
        (M,) int64 indices of the boxes that stay, best score first.
    """
    return torchvision.ops.nms(_spans(bboxes, offset), at_least_float32(scores), iou_threshold)


def _decay(iou: Tensor, method: int, iou_threshold: float, sigma: float) -> Tensor:
    """(N,) factors on the scores: 0 naive, 1 linear, 2 Gaussian (mmcv's numbering)."""
    if method == 2:
        return torch.exp(-(iou**2) / sigma)
    factor = 1 - iou if method == 1 else torch.zeros_like(iou)
    return torch.where(iou >= iou_threshold, factor, 1.0)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    *,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS (Bodla et al., ICCV 2017): overlap lowers a score instead of ending it.

    The best box is always kept. Of equal scores the first box in the input goes first.

    Args:
        boxes: (N, 4).
        scores: (N,), left as they are.
        dets: (N, 5), filled from the top with the kept boxes and their lowered scores.
        iou_threshold: From this IoU on the naive and the linear method lower a score.
        sigma: Width of the Gaussian.
        min_score: A box whose score falls below this is dropped.
        method: 0 naive, 1 linear, 2 Gaussian.
        offset: 0 or 1, see the module.

    Returns:
        (M,) int64 indices of the kept boxes, in the order in which they were taken.
    """
    spans = _spans(boxes, offset)
    lowered = at_least_float32(scores).clone()
    remaining = torch.arange(len(boxes))
    kept: list[Tensor] = []
    while len(remaining):
        best = remaining[lowered[remaining].argmax()]
        dets[len(kept), :4] = boxes[best]
        dets[len(kept), 4] = lowered[best]
        kept.append(best)
        remaining = remaining[remaining != best]
        iou = _iou_with(spans[best], spans[remaining])
        lowered[remaining] *= _decay(iou, method, iou_threshold, sigma)
        remaining = remaining[lowered[remaining] >= min_score]
    return torch.stack(kept) if kept else remaining


def nms_match(dets: Tensor, *, iou_threshold: float) -> list[list[int]]:
    """Greedy non-maximum suppression that tells which boxes each kept box suppressed.

    Args:
        dets: (N, 5), boxes and scores.
        iou_threshold: A box falls when its IoU with a better one reaches this.

    Returns:
        One list per kept box, best first: its index, then those it suppressed, by falling score.
    """
    boxes, scores = at_least_float32(dets).split((4, 1), dim=1)
    remaining = scores[:, 0].argsort(descending=True)
    groups: list[list[int]] = []
    while len(remaining):
        iou = _iou_with(boxes[remaining[0]], boxes[remaining])
        # A box without area has no IoU with itself either, and still leads its own group.
        matched = iou >= iou_threshold
        matched[0] = True
        groups.append(remaining[matched].tolist())
        remaining = remaining[~matched]
    return groups
