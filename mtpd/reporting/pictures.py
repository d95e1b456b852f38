"""Boxes on images."""

from __future__ import annotations

import colorsys
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from mtpd.reporting.figures import PALETTE

Colour = tuple[int, int, int]

GOLDEN = 0.618033988749895
"""Steps around the colour circle by this part of it never come near to each other soon."""

SMALLEST_TEXT, LARGEST_TEXT = 10, 32
TEXT_OF_IMAGE = 1 / 32
"""Height of the text as a part of the shorter side."""


def colour_of(label: int) -> Colour:
    """RGB of a class, the same in every picture: the figures' palette, then further hues."""
    if label < len(PALETTE) - 1:  # its last is black, which dark images swallow
        red, green, blue = (int(PALETTE[label][i : i + 2], 16) for i in (1, 3, 5))
        return red, green, blue
    hue = (label * GOLDEN) % 1.0
    red, green, blue = (round(255 * value) for value in colorsys.hsv_to_rgb(hue, 0.75, 0.9))
    return red, green, blue


def draw_boxes(
    image: np.ndarray,
    boxes: Any,
    labels: Sequence[int] | np.ndarray,
    scores: Sequence[float] | np.ndarray | None,
    classes: Sequence[str],
    masks: np.ndarray | None = None,
    at_least: int = 0,
) -> np.ndarray:
    """A copy of ``image`` with boxes, and above each its class and score.

    Boxes of higher score are drawn over others. Text has the size that suits the image.

    Args:
        image: RGB, uint8 (height, width, 3).
        boxes: Corners x1, y1, x2, y2 in pixels (N, 4).
        labels: Index of each box's class (N).
        scores: From 0 to 1 (N); None: the boxes have none, as true ones.
        classes: Names of the classes.
        masks: Of each object (N, height, width), bool; laid over the image in the box's colour.
        at_least: Pixels. An image whose shorter side has fewer is drawn larger by a whole factor,
            as no text fits on it otherwise.

    Returns:
        RGB, uint8 (height, width, 3), or larger by that factor.
    """
    times = max(1, -(-at_least // min(image.shape[:2])))
    corners = times * np.asarray(boxes, dtype=float).reshape(-1, 4)
    names = np.asarray(labels, dtype=int)
    sure = np.ones(len(corners)) if scores is None else np.asarray(scores, dtype=float)
    order = np.argsort(sure, kind="stable")
    drawn = image.copy() if masks is None else _with_masks(image, masks[order], names[order])
    picture = Image.fromarray(drawn.repeat(times, axis=0).repeat(times, axis=1))
    canvas = ImageDraw.Draw(picture)
    size = round(min(LARGEST_TEXT, max(SMALLEST_TEXT, TEXT_OF_IMAGE * min(picture.size))))
    font = _font(size)
    width = max(1, size // 5)
    for i in order:
        colour = colour_of(int(names[i]))
        canvas.rectangle(_inside(corners[i], picture.size), outline=colour, width=width)
    for i in order:
        text = classes[names[i]] if scores is None else f"{classes[names[i]]} {sure[i]:.2f}"
        _write(canvas, text, corners[i], colour_of(int(names[i])), font, picture.size)
    return np.asarray(picture)


def side_by_side(panels: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Images of one size (height, width, 3) beside each other, each under its title."""
    font = _font(14)
    lines = [textwrap.wrap(text, max(8, image.shape[1] // 9)) for text, image in panels]
    head = 18 * max(len(own) for own in lines) + 8
    height, gap = head + max(image.shape[0] for _, image in panels), 8
    width = sum(image.shape[1] for _, image in panels) + gap * (len(panels) - 1)
    picture = Image.new("RGB", (width, height), (255, 255, 255))
    canvas = ImageDraw.Draw(picture)
    left = 0
    for own, (_, image) in zip(lines, panels, strict=True):
        canvas.multiline_text((left + 2, 3), "\n".join(own), fill=(0, 0, 0), font=font)
        picture.paste(Image.fromarray(image), (left, head))
        left += image.shape[1] + gap
    return np.asarray(picture)


def _with_masks(image: np.ndarray, masks: np.ndarray, labels: np.ndarray) -> np.ndarray:
    mixed = image.astype(np.float32)
    for mask, label in zip(masks.astype(bool), labels, strict=True):
        mixed[mask] = 0.55 * mixed[mask] + 0.45 * np.array(colour_of(int(label)), np.float32)
    return mixed.round().astype(np.uint8)


def _inside(box: np.ndarray, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box cut to the image's pixels; it has no negative side then."""
    x1, y1, x2, y2 = (float(value) for value in box)
    right, bottom = size[0] - 1, size[1] - 1
    left, top = min(max(0.0, x1), right), min(max(0.0, y1), bottom)
    return left, top, max(left, min(x2, right)), max(top, min(y2, bottom))


def _write(
    canvas: ImageDraw.ImageDraw,
    text: str,
    box: np.ndarray,
    colour: Colour,
    font: ImageFont.FreeTypeFont,
    size: tuple[int, int],
) -> None:
    """Write ``text`` on a patch of ``colour`` above the box, or inside it if there is no room."""
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    width, height = right - left + 4, bottom - top + 4
    x1, y1, _, _ = _inside(box, size)
    x = max(0.0, min(x1, size[0] - width))
    y = y1 - height if y1 >= height else y1
    canvas.rectangle((x, y, x + width, y + height), fill=colour)
    red, green, blue = colour
    is_bright = 0.299 * red + 0.587 * green + 0.114 * blue > 140
    ink = (0, 0, 0) if is_bright else (255, 255, 255)
    canvas.text((x + 2 - left, y + 2 - top), text, fill=ink, font=font)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's own font: it is there wherever matplotlib is, and has many scripts' letters."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
