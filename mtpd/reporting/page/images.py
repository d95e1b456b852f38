"""Images as data URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, UnidentifiedImageError

from mtpd.errors import UserError

LONGEST_SIDE = 560
"""Pixels: larger images are scaled down."""

QUALITY = 82


def file_uri(path: Path) -> str:
    """A PNG file as a data URI, byte for byte."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def photo_uri(path: Path) -> str:
    """An image as a data URI, as it is stored: turned by no EXIF tag, as detectors see it.

    Raises:
        UserError: It is no image that can be read.
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        problem = f"cannot be read as an image ({error})"
        raise UserError(path, problem, "`mtpd data check` finds all such images") from error
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return _uri(image, "jpeg", quality=QUALITY)


def map_uri(values: np.ndarray) -> str:
    """A map (height, width) of values from 0 to 1 in colours, one pixel for each."""
    colours = mpl.colormaps["cividis"](np.clip(values, 0, 1), bytes=True)
    return _uri(Image.fromarray(np.asarray(colours)[..., :3]), "png", optimize=True)


def _uri(image: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind.upper(), **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
