"""Images and videos that a person names: files, folders and patterns."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from mtpd.errors import UserError

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg")


@dataclass(frozen=True)
class Medium:
    """An image file or a video.

    Attributes:
        path: Where it is.
        name: What it is called in results: its path as seen from the folder that was named.
        is_video: Whether it is one.
    """

    path: Path
    name: str
    is_video: bool


def find_media(sources: Sequence[str]) -> tuple[list[Medium], int]:
    """Every image and video that ``sources`` mean, in order, each once.

    Args:
        sources: Files, folders (with all folders in them), and patterns such as ``'a/**/*.jpg'``.

    Returns:
        They, and the number of other files that folders hold, which are left out.

    Raises:
        UserError: One means nothing, or a file that was named is neither an image nor a video.
    """
    media: dict[Path, Medium] = {}
    others = 0
    for source in sources:
        found, left = _of_source(source)
        others += left
        for medium in found:
            media.setdefault(medium.path.resolve(), medium)
    return _with_own_names(list(media.values())), others


def frames(video: Path) -> Iterator[np.ndarray]:
    """The frames of a video, RGB uint8 (height, width, 3).

    Raises:
        UserError: It cannot be read.
    """
    capture = _opened(video)
    try:
        while True:
            is_there, frame = capture.read()
            if not is_there:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def frames_of(video: Path) -> tuple[int, float]:
    """Number of a video's frames as its header says, and frames per second.

    Raises:
        UserError: It cannot be read.
    """
    capture = _opened(video)
    try:
        rate = capture.get(cv2.CAP_PROP_FPS)
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))), rate if rate > 0 else 25.0
    finally:
        capture.release()


class VideoFile:
    """A video that is written frame by frame, as MPEG-4."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._writer: cv2.VideoWriter | None = None

    def add(self, image: np.ndarray) -> None:
        """Add a frame, RGB uint8 (height, width, 3); all have the size of the first.

        Raises:
            UserError: This machine's OpenCV cannot write videos.
        """
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            code = cv2.VideoWriter.fourcc(*"mp4v")
            size = image.shape[1], image.shape[0]
            self._writer = cv2.VideoWriter(str(self._path), code, self._rate, size)
            if not self._writer.isOpened():
                remedy = "leave the drawing away by --no-draw"
                raise UserError(self._path, "OpenCV cannot write this video", remedy)
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.release()


def _opened(video: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(video))
    if not capture.isOpened():
        raise UserError(video, "is no video that OpenCV can read", "convert it to MP4")
    return capture


def _of_source(source: str) -> tuple[list[Medium], int]:
    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        found = [m for file in files if (m := _medium(file, path)) is not None]
        if not found:
            problem = "holds no image or video"
            raise UserError(source, problem, f"give a folder with {', '.join(IMAGES + VIDEOS)}")
        return found, len(files) - len(found)
    if path.exists():
        medium = _medium(path, path.parent)
        if medium is None:
            kinds = ", ".join(IMAGES + VIDEOS)
            raise UserError(source, "is neither an image nor a video", f"give one of {kinds}")
        return [medium], 0
    if glob.has_magic(source):
        root = Path(*_before_magic(path))
        # Path.glob takes no absolute patterns.
        files = sorted(Path(file) for file in glob.glob(source, recursive=True))  # noqa: PTH207
        files = [file for file in files if file.is_file()]
        found = [m for file in files if (m := _medium(file, root)) is not None]
        if found:
            return found, len(files) - len(found)
    raise UserError(source, "there is no such image, video or folder", "correct the path")


def _before_magic(pattern: Path) -> Iterator[str]:
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _medium(file: Path, root: Path) -> Medium | None:
    kind = file.suffix.lower()
    if kind not in IMAGES + VIDEOS:
        return None
    return Medium(file, file.relative_to(root).as_posix(), kind in VIDEOS)


def _with_own_names(media: list[Medium]) -> list[Medium]:
    """The same, names that differ in nothing or in the suffix alone made different by a number."""
    taken: set[str] = set()
    named = []
    for medium in media:
        name = PurePosixPath(medium.name)
        number = 1
        while str(name.with_suffix("")) in taken:
            number += 1
            name = name.with_name(f"{PurePosixPath(medium.name).stem}-{number}{name.suffix}")
        taken.add(str(name.with_suffix("")))
        named.append(Medium(medium.path, str(name), medium.is_video))
    return named
