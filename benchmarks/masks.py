"""FGD's masks and PGD's weights as batched tensor code, against a loop over images and boxes.

Both give the same values; the times are medians on one core, for a batch at 1333×800.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torchvision.ops import box_iou

from mtpd.distillation.features import GroundTruth, Predictions
from mtpd.distillation.masks import box_masks
from mtpd.distillation.quality import (
    NOISE_VARIANCE,
    gaussian_weights,
    overlap,
    scores_of_boxes,
)

ROUNDS = 7
IMAGES, CLASSES, POSITIONS, XI = 2, 80, 30, 0.8
SIZE = (800, 1344)
STRIDES = (8, 16, 32, 64, 128)
GRIDS = [(-(-SIZE[0] // stride), -(-SIZE[1] // stride)) for stride in STRIDES]


def measure() -> list[dict[str, Any]]:
    """One row for each part and number of boxes: milliseconds of both ways, and the ratio."""
    torch.set_num_threads(1)
    predictions = _predictions()
    rows = []
    for boxes in (10, 100):
        truth = _truth(boxes)
        for part, batched, looped in (
            ("FGD masks", lambda t: [box_masks(t, grid)[0] for grid in GRIDS], _looped_masks),
            ("PGD weights", lambda t: _weights(predictions, t), _looped(predictions)),
        ):
            ours, naive = _timed(batched, truth), _timed(looped, truth)
            for one, other in zip(batched(truth), looped(truth), strict=True):
                torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
            rows.append(
                {
                    "part": part,
                    "boxes per image": boxes,
                    "batched_ms": round(ours, 1),
                    "loop_ms": round(naive, 1),
                    "loop / batched": round(naive / ours, 1),
                }
            )
    return rows


def _timed(function: Callable[[GroundTruth], Any], truth: GroundTruth) -> float:
    """Median milliseconds."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        function(truth)
        seconds.append(time.perf_counter() - began)
    return 1000 * statistics.median(seconds)


def _looped_masks(truth: GroundTruth) -> list[Tensor]:
    masks = []
    for height, width in GRIDS:
        mask = torch.zeros(IMAGES, height, width)
        scale = torch.tensor([width / SIZE[1], height / SIZE[0]]).repeat(2)
        for image, boxes in enumerate(truth.boxes):
            for box in boxes * scale:
                x1, y1 = int(box[0].floor()), int(box[1].floor())
                x2, y2 = int(box[2].ceil()), int(box[3].ceil())
                cells = mask[image, y1 : y2 + 1, x1 : x2 + 1]
                cells.clamp_(min=1 / ((x2 - x1 + 1) * (y2 - y1 + 1)))
        masks.append(mask)
    return masks


def _weights(predictions: Predictions, truth: GroundTruth) -> Tensor:
    quality = scores_of_boxes(predictions, truth) ** (1 - XI) * overlap(predictions, truth) ** XI
    return gaussian_weights(quality, predictions.points, truth, POSITIONS)


def _looped(predictions: Predictions) -> Callable[[GroundTruth], Tensor]:
    def weights(truth: GroundTruth) -> Tensor:
        result = torch.zeros(IMAGES, len(predictions.points))
        for image in range(IMAGES):
            for box, label in zip(truth.boxes[image], truth.labels[image], strict=True):
                iou = box_iou(box[None], predictions.boxes[image])[0]
                quality = predictions.scores[image, :, label] ** (1 - XI) * iou**XI
                best, chosen = quality.topk(POSITIONS)
                chosen = chosen[best > 0]
                points = predictions.points[chosen].double()
                centred = points - points.mean(0)
                covariance = centred.T @ centred / len(points) + NOISE_VARIANCE * torch.eye(2)
                distance = (centred @ covariance.inverse() * centred).sum(1)
                weight = torch.exp(-distance / 2).float()
                weight *= ((points > box[:2]) & (points < box[2:])).all(1)
                result[image, chosen] = torch.maximum(result[image, chosen], weight)
        return result

    return weights


def _truth(boxes: int) -> GroundTruth:
    generator = torch.Generator().manual_seed(boxes)
    size = torch.tensor([SIZE[1], SIZE[0]])
    corner = torch.rand(IMAGES, boxes, 2, generator=generator) * size * 0.7
    extent = 16 + torch.rand(IMAGES, boxes, 2, generator=generator) * size * 0.25
    labels = torch.randint(0, CLASSES, (IMAGES, boxes), generator=generator)
    return GroundTruth.of(list(torch.cat([corner, corner + extent], -1)), list(labels), SIZE)


def _predictions() -> Predictions:
    generator = torch.Generator().manual_seed(0)
    levels = []
    for stride, (height, width) in zip(STRIDES, GRIDS, strict=True):
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        levels.append((torch.stack([x.flatten(), y.flatten()], 1) + 0.5) * stride)
    points = torch.cat(levels)
    sides = 8 + 120 * torch.rand(2, IMAGES, len(points), 2, generator=generator)
    boxes = torch.cat([points - sides[0], points + sides[1]], -1)
    return Predictions(
        torch.rand(IMAGES, len(points), CLASSES, generator=generator).logit(), boxes, points
    )


if __name__ == "__main__":
    sys.stdout.write(f"{pd.DataFrame(measure()).to_markdown(index=False)}\n")
