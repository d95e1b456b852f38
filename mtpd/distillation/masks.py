"""Foreground and background of feature maps, from the annotated boxes; batched, without loops."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtpd.distillation.features import GroundTruth


def box_masks(truth: GroundTruth, grid: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Foreground and background masks of FGD.

    A box, scaled to the grid, covers the cells floor(x1) … ceil(x2) × floor(y1) … ceil(y2), both
    ends included, each with 1/(rows · columns), so that boxes of any size weigh alike; where boxes
    overlap the larger value stands. The background is 1 outside every box, divided by its count.

    Args:
        truth: Boxes of N images.
        grid: Height and width of the map.

    Returns:
        Foreground and background, each (N, H, W) in the boxes' type.
    """
    (height, width), (input_height, input_width) = grid, truth.size
    x1, y1, x2, y2 = truth.boxes.unbind(-1)
    left, right = (x1 * (width / input_width)).floor(), (x2 * (width / input_width)).ceil()
    top, bottom = (y1 * (height / input_height)).floor(), (y2 * (height / input_height)).ceil()
    columns, rows = _within(width, left, right), _within(height, top, bottom)
    # A box turned inside out covers no cell; its count of cells must not be zero for that.
    cells = (right - left + 1).clamp(min=1) * (bottom - top + 1).clamp(min=1)
    share = truth.valid / cells
    values = (rows * share[..., None])[..., :, None] * columns[..., None, :]  # (N, G, H, W)
    foreground = values.amax(1)
    background = (foreground == 0).to(foreground)
    return foreground, background / background.sum((1, 2), keepdim=True).clamp(min=1)


def outside_boxes(truth: GroundTruth, points: Tensor) -> Tensor:
    """1 for the points (P, 2) that lie in no box of their image, else 0: (N, P)."""
    return (~inside(truth, points).any(1)).to(truth.boxes)


def within(sizes: Tensor, points: Tensor) -> Tensor:
    """Whether points (P, 2) lie in areas of these sizes (N, 2), height and width: (N, P) bool."""
    x, y = points.unbind(-1)
    height, width = sizes[:, :1], sizes[:, 1:]
    return (x < width) & (y < height)


def inside(truth: GroundTruth, points: Tensor) -> Tensor:
    """Whether points lie strictly inside boxes.

    Args:
        truth: Boxes of N images, G each.
        points: (P, 2), the same for all boxes, or (N, G, P, 2).

    Returns:
        (N, G, P) bool; padding contains nothing.
    """
    x1, y1, x2, y2 = truth.boxes[:, :, None].unbind(-1)
    x, y = points.unbind(-1)
    return (x > x1) & (x < x2) & (y > y1) & (y < y2) & truth.valid[..., None]


def _within(length: int, first: Tensor, last: Tensor) -> Tensor:
    """Whether each of ``length`` cells lies from ``first`` to ``last``, (N, G) each."""
    cells = torch.arange(length, device=first.device)
    return (cells >= first[..., None]) & (cells <= last[..., None])
