"""A generated data set of geometric shapes: boxes and visible instance masks in COCO format.

Class and appearance are independent: every class comes in any colour, texture, size and angle,
among clutter that belongs to no class, so only the outline tells what an object is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from mtpd.data.instances import write_coco
from mtpd.files import whole_folder

Array = NDArray[Any]
Contours = list[Array]

OBJECTS = (1, 5)  # per image, before those that cannot be seen enough are left out
DIAMETER = (24 / 128, 88 / 128)  # as fractions of the image's side
MIN_VISIBLE_FRACTION = 0.25
MIN_VISIBLE_PIXELS = 16
CLUTTER = (1, 6)  # lines, arcs and spots of no class, per image
BACKGROUND_CONTRAST, OBJECT_CONTRAST = 0.2, 0.35  # of textures, against that of any two colours
COLOUR_DISTANCE = 80  # of an object to what is below it, in the channel that differs most
SUPERSAMPLING = 4


def generate_shapes(folder: Path, *, split: str, images: int, size: int, seed: int) -> Path:
    """Generate one split; what is in ``folder`` is replaced.

    Image ``i`` depends on ``seed``, ``split``, ``size`` and ``i`` alone, so a larger split begins
    with the images of a smaller one, and splits of one seed share nothing.

    Args:
        folder: Gets ``annotations.json`` and ``images/000000.jpg``, ``images/000001.jpg`` …
        split: Name of the split, for example ``train``.
        images: Number of images.
        size: Side of the square images in pixels.
        seed: Not negative.

    Returns:
        The instances JSON, ``folder/annotations.json``. A box is tight around its object's visible
        mask, which is a compressed RLE; ``area`` is the number of pixels of that mask.
    """
    categories = [{"id": i, "name": name} for i, name in enumerate(SHAPES, start=1)]
    coco: dict[str, Any] = {
        "info": {"description": "Generated shapes", "split": split, "size": size, "seed": seed},
        "images": [],
        "annotations": [],
        "categories": categories,
    }
    with whole_folder(folder) as temporary:
        (temporary / "images").mkdir()
        for index in range(images):
            rng = np.random.default_rng([seed, zlib.crc32(split.encode()), index])
            picture, objects = draw_image(rng, size)
            name = f"{index:06d}.jpg"
            image_id = index + 1
            if not cv2.imwrite(str(temporary / "images" / name), picture):
                raise OSError(f"OpenCV could not write {temporary / 'images' / name}")
            coco["images"].append(
                {"id": image_id, "file_name": name, "width": size, "height": size}
            )
            for category_id, visible in objects:
                annotation_id = len(coco["annotations"]) + 1
                coco["annotations"].append(
                    {"id": annotation_id, "image_id": image_id, "category_id": category_id}
                    | _instance(visible)
                )
        write_coco(temporary / "annotations.json", coco)
    return folder / "annotations.json"


def draw_image(rng: np.random.Generator, size: int) -> tuple[Array, list[tuple[int, Array]]]:
    """Draw one image.

    Returns:
        The picture (size, size, 3) of uint8, and for each object its category id and its visible
        mask (size, size) of bool. No two masks overlap.
    """
    front = [_stroke(rng, size) for _ in range(rng.integers(0, 2))]
    occupied = np.zeros((size, size), bool)
    for coverage in front:
        occupied |= coverage >= 0.5
    # Objects are placed from front to back: what hides one is then known, and does not change.
    objects: list[tuple[int, Array]] = []
    layers: list[Array] = []
    for _ in range(rng.integers(OBJECTS[0], OBJECTS[1] + 1)):
        category = int(rng.integers(len(SHAPES)))
        contours = _placed(rng, list(SHAPES.values())[category](rng), size)
        coverage = _coverage(contours, size)
        mask = coverage >= 0.5
        visible = mask & ~occupied
        if visible.sum() < max(MIN_VISIBLE_PIXELS, MIN_VISIBLE_FRACTION * _area(contours)):
            continue
        occupied |= mask
        objects.append((category + 1, visible))
        layers.append(coverage)

    picture = _painted(rng, size, BACKGROUND_CONTRAST)
    for _ in range(rng.integers(CLUTTER[0], CLUTTER[1] + 1)):
        clutter = _stroke(rng, size) if rng.random() < 0.6 else _blob(rng, size)
        picture = _over(picture, clutter, _painted(rng, size, OBJECT_CONTRAST))
    for coverage in [*reversed(layers), *front]:
        below = picture[:, coverage >= 0.5].mean(axis=1) if coverage.max() >= 0.5 else None
        picture = _over(picture, coverage, _painted(rng, size, OBJECT_CONTRAST, below))
    return _photographed(rng, picture), objects


# The classes: each makes contours that fit into the unit circle, filled by the even-odd rule.


def _star(rng: np.random.Generator) -> Contours:
    points = _regular(10)
    points[1::2] *= rng.uniform(0.4, 0.5)
    return [points]


def _ring(rng: np.random.Generator) -> Contours:
    return [_regular(40), _regular(40) * rng.uniform(0.45, 0.65)]


def _cross(rng: np.random.Generator) -> Contours:
    arm = rng.uniform(0.22, 0.34)
    corner = np.array([[1, arm], [arm, arm], [arm, 1]])
    quarter = np.array([[0, -1], [1, 0]])
    turned = [corner]
    for _ in range(3):
        turned.append(turned[-1] @ quarter.T)
    return [np.concatenate(turned) / np.hypot(1, arm)]


SHAPES: dict[str, Callable[[np.random.Generator], Contours]] = {
    "ellipse": lambda _: [_regular(40)],
    "rectangle": lambda _: [_regular(4) @ _rotation(np.pi / 4)],
    "triangle": lambda _: [_regular(3)],
    "star": _star,
    "ring": _ring,
    "cross": _cross,
}


def _on_circle(angles: Array) -> Array:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _regular(corners: int) -> Array:
    return _on_circle(np.arange(corners) * 2 * np.pi / corners)


def _placed(rng: np.random.Generator, contours: Contours, size: int) -> Contours:
    """Contours in pixels: squeezed by up to a third, turned, scaled and moved."""
    squeeze, angle = rng.uniform(0.65, 1), rng.uniform(0, 2 * np.pi)
    radius = size / 2 * np.exp(rng.uniform(*np.log(DIAMETER)))
    centre = rng.uniform(-0.03, 1.03, 2) * size
    linear = _rotation(angle) @ np.diag(rng.permutation([1, squeeze])) * radius
    return [points @ linear.T + centre for points in contours]


def _rotation(angle: float) -> Array:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _area(contours: Contours) -> float:
    """Pixels that the contours enclose, inside the image or not; holes follow their outline."""
    outline, *holes = (cv2.contourArea(points.astype(np.float32)) for points in contours)
    return outline - sum(holes)


def _coverage(contours: Contours, size: int) -> Array:
    """How much of each pixel the filled contours cover: (size, size), 0 to 1."""
    canvas = np.zeros((size * SUPERSAMPLING,) * 2, np.uint8)
    corners = [np.round(points * SUPERSAMPLING - 0.5).astype(np.int32) for points in contours]
    cv2.fillPoly(canvas, corners, 255)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _stroke(rng: np.random.Generator, size: int) -> Array:
    """Coverage of a line, an arc or a broken line, as parts of outlines look."""
    canvas = np.zeros((size, size), np.uint8)
    width = max(1, round(size / 128 * rng.uniform(0.6, 2.4)))
    centre, radius = rng.uniform(0, size, 2), size * rng.uniform(0.05, 0.35)
    corners = int(rng.choice([3, 4, 6, 40]))
    kept = int(rng.integers(2, max(3, corners * 3 // 4)))
    points = _regular(corners)[:kept] @ _rotation(rng.uniform(0, 2 * np.pi)).T * radius + centre
    cv2.polylines(canvas, [np.round(points).astype(np.int32)], False, 255, width, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255


def _blob(rng: np.random.Generator, size: int) -> Array:
    """Coverage of a smooth irregular spot, like no class."""
    angles = np.arange(60) * 2 * np.pi / 60
    radii = np.ones(60)
    for wave in (2, 3, 4, 5):
        radii += rng.uniform(0.1, 0.3) * np.sin(wave * angles + rng.uniform(0, 2 * np.pi))
    scale = size * rng.uniform(0.03, 0.08)
    points = _on_circle(angles) * np.maximum(radii, 0.1)[:, None] * scale
    return _coverage([points + rng.uniform(0, size, 2)], size)


def _painted(
    rng: np.random.Generator, size: int, contrast: float, below: Array | None = None
) -> Array:
    """A picture (3, size, size), 0 to 255, of two random colours mixed by a random texture.

    The first colour is unlike ``below`` (3,), if that is given.
    """
    first, second = rng.uniform(0, 255, (2, 3)).astype(np.float32)
    while below is not None and np.abs(first - below).max() < COLOUR_DISTANCE:
        first = rng.uniform(0, 255, 3).astype(np.float32)
    change = contrast * (second - first)
    return first[:, None, None] + change[:, None, None] * _texture(rng, size)


def _texture(rng: np.random.Generator, size: int) -> Array:
    """A pattern (size, size), 0 to 1: flat, gradient, stripes, checks, clouds or grain."""
    kind = rng.choice(["flat", "gradient", "stripes", "checks", "clouds", "grain"])
    if kind == "flat":
        return np.zeros((size, size), np.float32)
    if kind == "grain":
        return rng.random((size, size), dtype=np.float32)
    if kind == "clouds":
        cells = int(rng.integers(3, 12))
        coarse = rng.random((cells, cells), dtype=np.float32)
        return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    cos, sin = _on_circle(rng.uniform(0, 2 * np.pi, 1))[0].astype(np.float32)
    across = np.arange(size, dtype=np.float32) / size - 0.5
    u = cos * across[None, :] + sin * across[:, None]
    if kind == "gradient":
        return (u + 0.5).clip(0, 1)
    waves = np.float32(rng.uniform(6, 24) * 2 * np.pi)
    pattern = np.sin(u * waves)
    if kind == "checks":
        v = cos * across[:, None] - sin * across[None, :]
        pattern = pattern * np.sin(v * waves)
    return (pattern > 0).astype(np.float32)


def _over(below: Array, coverage: Array, above: Array) -> Array:
    return below + coverage * (above - below)


def _photographed(rng: np.random.Generator, picture: Array) -> Array:
    """The picture with other contrast and brightness, blur and noise: (size, size, 3) of uint8."""
    picture = np.ascontiguousarray(picture.transpose(1, 2, 0))
    gain, offset = rng.uniform(0.65, 1.1), rng.uniform(-30, 30)
    picture = (picture - 127.5) * gain + 127.5 + offset
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.8))
    picture = picture + rng.uniform(0, 14) * rng.standard_normal(picture.shape, dtype=np.float32)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _instance(visible: Array) -> dict[str, Any]:
    """Box, mask and area of one object, as COCO writes them."""
    rle = coco_mask.encode(np.asfortranarray(visible, np.uint8))
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return {
        "bbox": [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
        "area": int(visible.sum()),
        "iscrowd": 0,
        "segmentation": {"size": list(visible.shape), "counts": rle["counts"].decode("ascii")},
    }
