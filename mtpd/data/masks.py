"""Masks of annotations: whether there is one, and its area."""

from __future__ import annotations

from typing import Any

Item = dict[str, Any]


def has_mask(item: Item) -> bool:
    """Whether the segmentation is an RLE or polygons of at least three corners."""
    mask = item.get("segmentation")
    if isinstance(mask, dict):
        return "counts" in mask and "size" in mask
    return (
        isinstance(mask, list)
        and len(mask) > 0
        and all(isinstance(p, list) and len(p) >= 6 and len(p) % 2 == 0 for p in mask)
    )


def mask_area(item: Item) -> float:
    """Pixels of the mask; 0 where there is none, or it cannot be read."""
    mask = item.get("segmentation")
    if not has_mask(item):
        return 0.0
    try:
        return _rle_area(mask) if isinstance(mask, dict) else sum(map(polygon_area, mask or ()))
    except (TypeError, ValueError):
        return 0.0


def polygon_area(corners: list[float]) -> float:
    """Area inside corners given as x, y, x, y and so on, whichever way round."""
    xs, ys = corners[::2], corners[1::2]
    return abs(sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))) / 2


def _rle_area(mask: Item) -> float:
    from pycocotools import mask as coco_mask

    if isinstance(mask["counts"], list):
        return float(sum(mask["counts"][1::2]))
    return float(coco_mask.area(mask))
