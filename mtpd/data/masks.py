"""Masks of annotations: whether there is one, and its area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtpd.errors import UserError

Item = dict[str, Any]


@dataclass(frozen=True)
class Unmasked:
    """Annotations without a mask: the first, their number, and that of all."""

    first: str
    count: int
    of: int

    def __str__(self) -> str:
        return f"{self.first} has no mask, as {self.count} of {self.of}"


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


def find_unmasked(path: Path, coco: Item, items: Sequence[Item]) -> Unmasked | None:
    """Those of ``items`` without a mask; None: all have one."""
    found = [item for item in items if not has_mask(item)]
    if not found:
        return None
    image = next(image for image in coco["images"] if image["id"] == found[0]["image_id"])
    where = f"{path}: annotation {found[0]['id']} of image {image['file_name']}"
    return Unmasked(where, len(found), len(items))


def mask_remarks(unmasked: Unmasked | None) -> list[UserError]:
    """What to say where some annotations have masks and others not."""
    if unmasked is None or unmasked.count == unmasked.of:
        return []
    problem = f"has no mask, as {unmasked.count} of {unmasked.of}"
    return [UserError(unmasked.first, problem, "detectors of masks need one for every box")]


def _rle_area(mask: Item) -> float:
    from pycocotools import mask as coco_mask

    if isinstance(mask["counts"], list):
        return float(sum(mask["counts"][1::2]))
    return float(coco_mask.area(mask))
