"""Where a teacher predicts well: the quality of positions for boxes, and Gaussians around the best.

Batched over images and boxes; Yang et al., Prediction-Guided Distillation, ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtpd.distillation.features import GroundTruth, Predictions
from mtpd.distillation.masks import inside

NOISE_VARIANCE = 0.05**2 / 3
"""Of noise of ±0.05 pixel, which keeps the covariance of positions in a row invertible.

The paper draws the noise; its variance in the covariance gives the same weights for the same
input. Where the positions spread in both directions the two agree; in a single row or column, where
drawn noise counts as distance too, these weights are larger, by 13 % with K 9 and 3 % with K 30.
"""


def overlap(predictions: Predictions, truth: GroundTruth) -> Tensor:
    """IoU (N, G, P) of every annotated box with every predicted one; 0 where both have no area."""
    one = truth.boxes[:, :, None].unbind(-1)
    other = predictions.boxes[:, None].unbind(-1)
    # Side by side rather than as vectors of two: an inner dimension so short is slow.
    width, height = (
        (
            torch.minimum(one[side + 2], other[side + 2]) - torch.maximum(one[side], other[side])
        ).relu_()
        for side in (0, 1)
    )
    common = width.mul_(height)
    union = (_area(one) + _area(other)).sub_(common)
    # Without area on either side both are 0, and so is the quotient.
    return common.div_(union.clamp_(min=torch.finfo(union.dtype).tiny))


def scores_of_boxes(predictions: Predictions, truth: GroundTruth) -> Tensor:
    """Score (N, G, P) of each annotated box's class at every position."""
    labels = truth.labels[:, None].expand(-1, predictions.logits.shape[1], -1)
    return predictions.logits.gather(2, labels).sigmoid().transpose(1, 2)


def gaussian_weights(
    quality: Tensor,
    points: Tensor,
    truth: GroundTruth,
    positions: int,
    exchanged: bool = False,
) -> Tensor:
    """How much every position counts.

    Each box takes its best positions, fits a Gaussian to their coordinates by maximum likelihood,
    and weights each of them by exp(−d²/2), d its Mahalanobis distance; those outside the box are
    dropped. Where boxes share a position the larger weight stands.

    Args:
        quality: (N, G, P). Positions of quality 0 are nobody's best: among them nothing decides.
        points: (P, 2) in pixels.
        truth: The boxes.
        positions: K, how many positions a box takes at most.
        exchanged: Take x for y where it is asked whether a position lies inside its box.

    Returns:
        (N, P) in [0, 1].
    """
    quality = quality * truth.valid[..., None]
    best, chosen = quality.topk(min(positions, quality.shape[-1]), dim=-1)  # (N, G, K)
    taken = best > 0
    coordinates = points[chosen]  # (N, G, K, 2)
    asked = coordinates.flip(-1) if exchanged else coordinates
    weights = _gaussian(coordinates, taken) * (taken & inside(truth, asked))
    everywhere = quality.new_zeros(len(quality), quality.shape[-1])
    return everywhere.scatter_reduce(1, chosen.flatten(1), weights.flatten(1), "amax")


def _gaussian(coordinates: Tensor, taken: Tensor) -> Tensor:
    """exp(−d²/2) of coordinates (…, K, 2) under the Gaussian fitted to the ``taken`` of them."""
    # In double precision: positions along a diagonal leave a determinant near zero.
    wide, mask = coordinates.double(), taken.double()[..., None]
    count = mask.sum(-2, keepdim=True).clamp(min=1)
    centred = wide - (wide * mask).sum(-2, keepdim=True) / count
    covariance = (centred * mask).transpose(-1, -2) @ centred / count
    # The inverse of a symmetric 2×2 matrix, written out.
    xx, yy = covariance[..., 0, 0] + NOISE_VARIANCE, covariance[..., 1, 1] + NOISE_VARIANCE
    xy = covariance[..., 0, 1]
    dx, dy = centred.unbind(-1)
    distance = (yy[..., None] * dx**2 - 2 * xy[..., None] * dx * dy + xx[..., None] * dy**2) / (
        xx * yy - xy**2
    )[..., None]
    return torch.exp(-distance / 2).to(coordinates)


def _area(sides: Sequence[Tensor]) -> Tensor:
    x1, y1, x2, y2 = sides
    return (x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)
