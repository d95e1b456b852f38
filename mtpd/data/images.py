"""Whether image files are there, whole, and of the size that their annotations were made for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from mtpd.data.names import there_instead
from mtpd.errors import UserError

# The limit here is that of OpenCV, which loads the images for training: Pillow reads headers.
Image.MAX_IMAGE_PIXELS = None
MOST_PIXELS = 2**30
LARGE_PIXELS = 100_000_000

ENDINGS = {"JPEG": b"\xff\xd9", "PNG": b"\x00\x00\x00\x00IEND\xaeB`\x82"}
ORIENTATION = 0x0112
QUARTER_TURNS = (5, 6, 7, 8)
THREADS = 8

MEASURED = "measured"
"""Key of images whose size was read from their file, in what is converted here."""

Problem = tuple[str, str]
"""What is wrong, and the remedy."""

Size = tuple[int, int]
"""Width and height in pixels."""

TAKE_TURN_OUT = (
    "if boxes were drawn on the picture as it is stored, take the orientation out of the files "
    "(exiftool -Orientation= FILE); if on the turned picture, they are right"
)
NOTES = {
    "turned": ("have an EXIF orientation, and are turned by it when loaded", TAKE_TURN_OUT),
    "deep": ("have 16 bits a channel", "the upper 8 are used: dark ones are best rescaled before"),
    "clear": ("have an alpha channel", "it is left out: what was transparent shows its colour"),
    "cmyk": ("are in CMYK", "they are converted to RGB when loaded"),
    "large": (
        f"have more than {LARGE_PIXELS // 10**6} million pixels",
        "each is decoded whole, three bytes a pixel: tiles are faster, and small objects survive",
    ),
}
"""What must be said of images that can be used, and what follows from it."""


class Expected(NamedTuple):
    """An image as annotations have it.

    Attributes:
        path: The file.
        width: In pixels.
        height: In pixels.
        measured: The size was read from the image, as the annotations have none; so it does not
            show which way up the image was annotated.
    """

    path: Path
    width: int
    height: int
    measured: bool = False


def expected_images(folder: Path, images: Sequence[dict[str, Any]]) -> list[Expected]:
    """The images of an instances file, whose names are relative to ``folder``."""
    return [
        Expected(folder / image["file_name"], image["width"], image["height"], MEASURED in image)
        for image in images
    ]


@dataclass
class ImagesFound:
    """What was found of many images, by their positions.

    Attributes:
        problems: Of each that cannot be used.
        notes: Those of which something of :data:`NOTES` is true.
    """

    problems: dict[int, Problem] = field(default_factory=dict)
    notes: dict[str, list[int]] = field(default_factory=dict)

    def remarks(self, where: object, files: Sequence[Path]) -> list[UserError]:
        """The notes with their counts; ``files`` are those of all images."""
        return [
            UserError(
                where,
                f"{len(found)} of {len(files)} images {NOTES[note][0]} (first {files[found[0]]})",
                NOTES[note][1],
            )
            for note, found in sorted(self.notes.items())
        ]


def image_sizes(paths: Sequence[Path]) -> list[Size | UserError]:
    """Size of each image as MMDetection loads it, from its header, or why it cannot be read."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(_size_or_error, paths, chunksize=64))


def check_images(
    expected: Sequence[Expected],
    *,
    decode: bool = False,
    advance: Callable[[], object] = lambda: None,
) -> ImagesFound:
    """Check many images.

    Args:
        expected: What the annotations say of each.
        decode: Decode every image whole; otherwise only those whose last bytes leave a doubt.
        advance: Called after each image.
    """
    found = ImagesFound()
    with ThreadPoolExecutor(THREADS) as pool:
        results = pool.map(lambda image: _check(image, decode), expected)
        for i, (problem, notes) in enumerate(results):
            if problem is not None:
                found.problems[i] = problem
            for note in notes:
                found.notes.setdefault(note, []).append(i)
            advance()
    return found


def _check(expected: Expected, decode: bool) -> tuple[Problem | None, list[str]]:
    """What is wrong with one image, and notes of it."""
    path, width, height, measured = expected
    try:
        with _opened(path) as image:
            turn = _orientation(image)
            shows = turn in QUARTER_TURNS and width != height and not measured
            notes = _notes(image, 0 if shows else turn)
            size = _loaded_size(image, turn)
            if size != (width, height):
                return _other_size(path, size, (width, height), turn), []
            if size[0] * size[1] > MOST_PIXELS:
                problem = f"{path} has {size[0]}x{size[1]} pixels, and OpenCV takes {MOST_PIXELS}"
                return (problem, "cut it into tiles"), []
            if decode or not _ends_well(path, image.format):
                # Pillow refuses a cut JPEG and may accept a cut PNG; of OpenCV, which loads the
                # images for training, some versions do the opposite.
                mode = image.mode
                image.load()
                if not _can_be_decoded(path):
                    return _undecoded(path, image.format, mode), []
    except UserError as error:
        return (f"{path} {error.problem}", error.remedy), []
    return None, notes


def _can_be_decoded(path: Path) -> bool:
    """Whether OpenCV reads the image, in the way of MMDetection."""
    # They take half a second, and commands that only ask how many images there are never get here.
    import cv2
    import numpy as np

    return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) is not None


def _other_size(path: Path, size: Size, written: Size, turn: int) -> Problem:
    loaded, said = (f"{width}x{height}" for width, height in (size, written))
    if turn in QUARTER_TURNS and written == size[::-1]:
        problem = (
            f"{path} is {loaded} when loaded, turned as its EXIF orientation {turn} says, and the "
            f"annotations say {said}, as it is stored"
        )
        remedy = (
            "take the orientation out of the file (exiftool -Orientation= FILE), or give boxes and "
            "size of the turned picture"
        )
        return problem, remedy
    remedy = "correct the size, or give the image that was annotated"
    return f"{path} is {loaded}, the annotations say {said}", remedy


def _undecoded(path: Path, kind: str | None, mode: str) -> Problem:
    if kind in ENDINGS:
        return f"{path} is cut short", "replace it by a whole copy"
    problem = f"{path} cannot be decoded by OpenCV ({kind}, pixels of kind {mode})"
    return problem, "convert it to a JPEG or PNG of 8 bits"


def _notes(image: Image.Image, turn: int) -> list[str]:
    """What is true of an image; ``turn`` is 0 where its size shows how it was annotated."""
    found = {
        "turned": turn not in (0, 1),
        "deep": image.mode.startswith("I;16") or _bits(image) == 16,
        "clear": image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info,
        "cmyk": image.mode == "CMYK",
        "large": image.width * image.height > LARGE_PIXELS,
    }
    return [note for note, is_so in found.items() if is_so]


def _bits(image: Image.Image) -> int:
    """Bits of a channel as they are stored: of several channels Pillow itself reads 8."""
    return 16 if any(";16" in str(tile.args) for tile in getattr(image, "tile", ())) else 8


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; that it cannot be opened, or decoded inside, is a :class:`UserError`."""
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError as error:
        remedy = "add the file, or give the folder that has it"
        raise UserError(path, f"does not exist{there_instead(path)}", remedy) from error
    except UnidentifiedImageError as error:
        raise UserError(path, "is not an image", "replace it by a JPEG or PNG") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(path, f"cannot be read ({error})", "replace it by a whole copy") from error


def _size_or_error(path: Path) -> Size | UserError:
    try:
        with _opened(path) as image:
            return _loaded_size(image, _orientation(image))
    except UserError as error:
        return error


def _orientation(image: Image.Image) -> int:
    """EXIF's number of how the picture is to be turned; 0: it does not say."""
    # Only if the header has EXIF: Pillow would decode a whole PNG in search of it.
    if "exif" not in image.info and image.format != "TIFF":
        return 0
    turn = image.getexif().get(ORIENTATION, 0)
    return turn if isinstance(turn, int) else 0


def _loaded_size(image: Image.Image, turn: int) -> Size:
    """Width and height as MMDetection loads the image, which is turned as its EXIF says."""
    # Pillow says the size of a TIFF as it is turned, that of others as it is stored.
    if turn in QUARTER_TURNS and image.format != "TIFF":
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
