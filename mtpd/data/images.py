"""Whether image files are there, whole, and of the size that their annotations were made for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
from PIL import Image, UnidentifiedImageError

from mtpd.errors import UserError

ENDINGS = {"JPEG": b"\xff\xd9", "PNG": b"\x00\x00\x00\x00IEND\xaeB`\x82"}
ORIENTATION = 0x0112
QUARTER_TURNS = (5, 6, 7, 8)
THREADS = 8

Problem = tuple[str, str]
"""What is wrong, and the remedy."""

Size = tuple[int, int]
"""Width and height in pixels."""


def image_sizes(paths: Sequence[Path]) -> list[Size | UserError]:
    """Size of each image as MMDetection loads it, from its header, or why it cannot be read."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(_size_or_error, paths, chunksize=64))


def image_problems(
    expected: Sequence[tuple[Path, int, int]],
    *,
    decode: bool = False,
    advance: Callable[[], object] = lambda: None,
) -> dict[int, Problem]:
    """Check many images.

    Args:
        expected: File, width and height of each, in pixels.
        decode: Decode every image whole; otherwise only those whose last bytes leave a doubt.
        advance: Called after each image.

    Returns:
        The problem of each image that has one, by its position in ``expected``.
    """
    found = {}
    with ThreadPoolExecutor(THREADS) as pool:
        problems = pool.map(lambda image: image_problem(*image, decode=decode), expected)
        for i, problem in enumerate(problems):
            if problem is not None:
                found[i] = problem
            advance()
    return found


def image_problem(path: Path, width: int, height: int, *, decode: bool = False) -> Problem | None:
    """What is wrong with one image; ``decode`` as in :func:`image_problems`."""
    try:
        with _opened(path) as image:
            size = _loaded_size(image)
            if size != (width, height):
                return (
                    f"{path} is {size[0]}x{size[1]}, the annotations say {width}x{height}",
                    "correct the size, or give the image that was annotated",
                )
            if decode or not _ends_well(path, image.format):
                # Pillow refuses a cut JPEG and may accept a cut PNG; of OpenCV, which loads the
                # images for training, some versions do the opposite.
                image.load()
                if cv2.imread(str(path)) is None:
                    return f"{path} is cut short", "replace it by a whole copy"
    except UserError as error:
        return f"{path} {error.problem}", error.remedy
    return None


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; that it cannot be opened, or decoded inside, is a :class:`UserError`."""
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError as error:
        remedy = "add the file, or give the folder that has it"
        raise UserError(path, "does not exist", remedy) from error
    except UnidentifiedImageError as error:
        raise UserError(path, "is not an image", "replace it by a JPEG or PNG") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(path, f"cannot be read ({error})", "replace it by a whole copy") from error


def _size_or_error(path: Path) -> Size | UserError:
    try:
        with _opened(path) as image:
            return _loaded_size(image)
    except UserError as error:
        return error


def _loaded_size(image: Image.Image) -> Size:
    """Width and height as MMDetection loads the image, which is turned as its EXIF says."""
    # Only if the header has EXIF: Pillow would decode a whole PNG in search of it.
    if "exif" in image.info and image.getexif().get(ORIENTATION) in QUARTER_TURNS:
        return image.height, image.width
    return image.size


def _ends_well(path: Path, kind: str | None) -> bool:
    """Whether the file's last bytes are its format's end marker."""
    ending = ENDINGS.get(kind or "")
    if ending is None or path.stat().st_size < len(ending):
        return False
    with path.open("rb") as file:
        file.seek(-len(ending), os.SEEK_END)
        return file.read() == ending
