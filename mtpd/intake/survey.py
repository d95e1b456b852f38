"""What a data set holds, counted from the COCO files that the data step would train on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Coco = dict[str, Any]
"""Content of an instances JSON."""

QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class SplitSurvey:
    """One split.

    Attributes:
        images: How many.
        empty: Those of them without a box.
        boxes: Annotations, crowds included.
        boxes_per_class: Of them, by class name.
    """

    images: int
    empty: int
    boxes: int
    boxes_per_class: dict[str, int]


@dataclass(frozen=True)
class Sizes:
    """How large images and boxes are. Boxes are measured by the root of their area, in pixels.

    Attributes:
        width: Of the images: smallest, median and largest.
        height: The same.
        aspect: Median of an image's shorter side over its longer one.
        long_side: Median of the images' longer sides.
        box: A tenth of the boxes is smaller than the first, half than the second, and a tenth is
            larger than the third.
        small_box: The first of these, over the longer side of the box's image.
    """

    width: tuple[int, int, int]
    height: tuple[int, int, int]
    aspect: float
    long_side: int
    box: tuple[float, float, float]
    small_box: float


@dataclass(frozen=True)
class Survey:
    """A data set: its splits by name, its classes in the order of their labels, and sizes."""

    splits: dict[str, SplitSurvey]
    classes: tuple[str, ...]
    sizes: Sizes
    has_masks: bool


def survey(splits: Mapping[str, Coco]) -> Survey:
    """Count what sound instances files hold; ``train`` is among them and has a box."""
    classes = tuple(category["name"] for category in splits["train"]["categories"])
    counted = {name: _split(coco, classes) for name, coco in splits.items()}
    every = [item for coco in splits.values() for item in coco["annotations"]]
    masks = all(item.get("segmentation") for item in every)
    return Survey(counted, classes, _sizes(splits.values()), masks)


def classes_of_images(coco: Coco) -> dict[str, set[str]]:
    """File name → classes that are on the image."""
    names = {category["id"]: category["name"] for category in coco["categories"]}
    files = {image["id"]: image["file_name"] for image in coco["images"]}
    found: dict[str, set[str]] = {file: set() for file in files.values()}
    for item in coco["annotations"]:
        found[files[item["image_id"]]].add(names[item["category_id"]])
    return found


def _split(coco: Coco, classes: tuple[str, ...]) -> SplitSurvey:
    names = {category["id"]: category["name"] for category in coco["categories"]}
    counts = Counter(names[item["category_id"]] for item in coco["annotations"])
    annotated = {item["image_id"] for item in coco["annotations"]}
    return SplitSurvey(
        images=len(coco["images"]),
        empty=sum(image["id"] not in annotated for image in coco["images"]),
        boxes=len(coco["annotations"]),
        boxes_per_class={name: counts[name] for name in classes},
    )


def _sizes(splits: Any) -> Sizes:
    images, sides, relative = [], [], []
    for coco in splits:
        size = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
        images += list(size.values())
        for item in coco["annotations"]:
            side = (max(item["bbox"][2], 0) * max(item["bbox"][3], 0)) ** 0.5
            sides.append(side)
            relative.append(side / max(size[item["image_id"]]))
    width, height = np.array(images).T
    short, long = np.minimum(width, height), np.maximum(width, height)
    low, middle, high = np.quantile(sides, QUANTILES)
    return Sizes(
        width=_range(width),
        height=_range(height),
        aspect=float(np.median(short / long)),
        long_side=round(float(np.median(long))),
        box=(float(low), float(middle), float(high)),
        small_box=float(np.quantile(relative, QUANTILES[0])),
    )


def _range(values: np.ndarray) -> tuple[int, int, int]:
    return int(values.min()), round(float(np.median(values))), int(values.max())
