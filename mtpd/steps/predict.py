"""Detections of a model on images and videos that a person names: drawn, and as files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mtpd.data.inspection import Progress
from mtpd.data.media import Medium, VideoFile, find_media, frames, frames_of
from mtpd.detectors.found import Detector, Found
from mtpd.detectors.inference import read_image
from mtpd.errors import UserError
from mtpd.evaluation.coco import Kind
from mtpd.evaluation.detections import AddItem, detections_of, json_list
from mtpd.files import whole_folder, write_json
from mtpd.reporting.pictures import draw_boxes

logger = logging.getLogger(__name__)

WRITTEN = ("images.json", "bbox.json", "segm.json", "classes.txt", "labels", "drawn")
"""What stands in a folder of predictions."""

DRAWN_SIDE = 320
"""Pixels: the shorter side of a drawn image is enlarged to at least so many."""


@dataclass(frozen=True)
class Picture:
    """One image, or one frame of a video.

    Attributes:
        name: Its own among all of a prediction; a frame's is ``video/000001``.
        medium: Where it is from.
        image: RGB, uint8.
    """

    name: str
    medium: Medium
    image: np.ndarray


@dataclass
class Prediction:
    """What was predicted: counts, and what could not be read.

    Attributes:
        images: Number of images and frames.
        objects: Number of objects by class name.
        unreadable: Images that were left out, and why.
        others: Number of files in the named folders that are neither images nor videos.
    """

    images: int = 0
    objects: dict[str, int] = field(default_factory=dict)
    unreadable: list[UserError] = field(default_factory=list)
    others: int = 0


def predict(
    detector: Detector,
    sources: Sequence[str],
    out: Path,
    *,
    threshold: float,
    batch: int,
    draw: bool,
    progress: Progress = lambda _: lambda: None,
) -> Prediction:
    """Find objects in all images of ``sources`` and write them into the folder ``out``.

    Args:
        detector: What finds them.
        sources: As for :func:`~mtpd.data.media.find_media`.
        out: Gets ``bbox.json`` and ``segm.json`` in COCO's results format, ``images.json`` with
            the ids of images and categories, ``labels/`` with a text file for each image as YOLO
            has it, and ``drawn/``. Earlier predictions there are replaced.
        threshold: Lowest score of what is kept.
        batch: Images that are taken together.
        draw: Whether to draw the boxes on copies.
        progress: Told how many images there are, and of each that is done.

    Raises:
        UserError: A source is wrong, no image can be read, or ``out`` holds other files.
    """
    media, others = find_media(sources)
    _check_out(out, media)
    result = Prediction(objects=dict.fromkeys(detector.classes, 0), others=others)
    advance = progress(sum(frames_of(m.path)[0] if m.is_video else 1 for m in media))
    with whole_folder(out) as folder:
        with _Writer(folder, detector, draw) as writer:
            for pictures in _batches(_pictures(media, result.unreadable, advance), batch):
                every = detector.predict([picture.image for picture in pictures])
                for picture, found in zip(pictures, every, strict=True):
                    writer.add(picture, found.above(threshold))
                    advance()
        result.images = len(writer.images)
        if not result.images:
            first = result.unreadable[0] if result.unreadable else media[0].path
            raise UserError(first, "no image can be read", "give images that are whole")
        for label in writer.labels:
            result.objects[detector.classes[label]] += 1
    return result


def _check_out(out: Path, media: Sequence[Medium]) -> None:
    """Refuse a folder that holds what nobody wants to lose."""
    if out.is_file():
        raise UserError(out, "is a file", "give a folder by --out")
    inside = [m.path for m in media if m.path.resolve().is_relative_to(out.resolve())]
    if inside:
        problem = f"holds {inside[0]}, which is to be predicted"
        raise UserError(out, problem, "give another folder by --out")
    names = {file.name for file in out.iterdir()} if out.exists() else set()
    others = names - set(WRITTEN)
    if others:
        problem = f"holds other files than predictions ({min(others)})"
        raise UserError(out, problem, "give another folder by --out")


def _pictures(
    media: Iterable[Medium], unreadable: list[UserError], advance: Any
) -> Iterator[Picture]:
    """All images and frames; images that cannot be read are put on the list instead."""
    for medium in media:
        if medium.is_video:
            for number, frame in enumerate(frames(medium.path), start=1):
                yield Picture(f"{medium.name}/{number:06d}", medium, frame)
            continue
        try:
            yield Picture(medium.name, medium, read_image(medium.path))
        except UserError as error:
            unreadable.append(error)
            advance()


def _batches(pictures: Iterator[Picture], size: int) -> Iterator[list[Picture]]:
    while batch := list(islice(pictures, size)):
        yield batch


class _Writer:
    """Writes what was found, image by image; the lists of images and classes at the end."""

    def __init__(self, folder: Path, detector: Detector, draw: bool) -> None:
        self._folder, self._classes, self._draw = folder, detector.classes, draw
        self._kinds: list[Kind] = ["bbox", "segm"] if detector.has_masks else ["bbox"]
        self._files = ExitStack()
        self._outputs: dict[Kind, AddItem] = {}
        self._video: tuple[str, VideoFile] | None = None
        self.images: list[dict[str, Any]] = []
        self.labels: list[int] = []

    def __enter__(self) -> _Writer:
        for kind in self._kinds:
            self._outputs[kind] = self._files.enter_context(
                json_list(self._folder / f"{kind}.json")
            )
        return self

    def __exit__(self, *error: Any) -> None:
        self._end_video()
        self._files.__exit__(*error)
        categories = [{"id": i, "name": name} for i, name in enumerate(self._classes, start=1)]
        write_json(
            self._folder / "images.json",
            {"images": self.images, "categories": categories, "annotations": []},
        )
        (self._folder / "classes.txt").write_text("\n".join(self._classes) + "\n", "utf-8")

    def add(self, picture: Picture, found: Found) -> None:
        height, width = picture.image.shape[:2]
        number = len(self.images) + 1
        self.images.append(
            {"id": number, "file_name": picture.name, "width": width, "height": height}
        )
        self.labels += found.labels.tolist()
        categories = range(1, len(self._classes) + 1)
        for kind, add in self._outputs.items():
            for item in detections_of(found.sample(number), kind, categories):
                add(item)
        self._write_labels(picture, found)
        if self._draw:
            self._write_drawn(picture, found)

    def _write_labels(self, picture: Picture, found: Found) -> None:
        """A line for each object: class, middle, width, height as parts of the image's, score."""
        name = picture.name if picture.medium.is_video else _without_suffix(picture.name)
        path = self._folder / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = picture.image.shape[:2]
        corners = found.boxes / np.array([width, height, width, height], np.float32)
        middles, sides = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
        lines = [
            f"{label} {x:.6f} {y:.6f} {w:.6f} {h:.6f} {score:.4f}\n"
            for label, (x, y), (w, h), score in zip(
                found.labels, middles, sides, found.scores, strict=True
            )
        ]
        path.write_text("".join(lines), encoding="utf-8")

    def _write_drawn(self, picture: Picture, found: Found) -> None:
        drawn = draw_boxes(
            picture.image,
            found.boxes,
            found.labels,
            found.scores,
            self._classes,
            found.masks,
            DRAWN_SIDE,
        )
        if picture.medium.is_video:
            self._video_of(picture.medium).add(drawn)
            return
        path = self._folder / "drawn" / picture.name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn).save(path, quality=92)

    def _video_of(self, medium: Medium) -> VideoFile:
        """The file that the frames of ``medium`` go to; that of another video is ended."""
        if self._video is None or self._video[0] != medium.name:
            self._end_video()
            path = self._folder / "drawn" / f"{_without_suffix(medium.name)}.mp4"
            self._video = medium.name, VideoFile(path, frames_of(medium.path)[1])
        return self._video[1]

    def _end_video(self) -> None:
        if self._video is not None:
            self._video[1].close()
            self._video = None


def _without_suffix(name: str) -> str:
    return str(Path(name).with_suffix(""))
