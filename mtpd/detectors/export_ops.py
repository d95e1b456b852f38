"""Non-maximum suppression with outputs of fixed shape, as an operation that exporters know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import nms

MOST = 2**31 - 1
"""Boxes that a class may keep: all."""


@torch.library.custom_op("mtpd::nms_mask", mutates_args=())
def nms_mask(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Which boxes of each image non-maximum suppression keeps.

    Args:
        boxes: Corners (images, boxes, 4).
        scores: (images, boxes). Boxes of no positive score are not there.
        iou_threshold: Of two boxes that overlap by more, that of lower score goes.

    Returns:
        1 for boxes that are kept, 0 for others (images, boxes), of the scores' type.
    """
    kept = torch.zeros_like(scores)
    for own, score, mask in zip(boxes, scores, kept, strict=True):
        there = (score > 0).nonzero().squeeze(1)
        mask[there[nms(own[there], score[there], iou_threshold)]] = 1
    return kept


@nms_mask.register_fake
def _(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:  # noqa: ARG001
    return torch.empty_like(scores)


def onnx_translations() -> dict[Any, Callable[..., Any]]:
    """How the operations of this module are written in ONNX, for ``torch.onnx.export``."""
    from onnxscript import opset18

    op: Any = opset18

    def translated(boxes: Any, scores: Any, iou_threshold: float) -> Any:
        one = op.Constant(value_ints=[1])
        picked = op.NonMaxSuppression(
            boxes,
            op.Unsqueeze(scores, one),
            op.Constant(value_int=MOST),
            op.Constant(value_float=iou_threshold),
            op.Constant(value_float=0.0),
        )
        # Of (image, class, box) the class is always the first.
        places = op.Gather(picked, op.Constant(value_ints=[0, 2]), axis=1)
        none = op.Mul(scores, op.Constant(value_float=0.0))
        number = op.Shape(picked, start=0, end=1)
        ones = op.Expand(op.Constant(value_float=1.0), number)
        return op.ScatterND(none, places, ones)

    return {torch.ops.mtpd.nms_mask.default: translated}
