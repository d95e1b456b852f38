"""Two models on one data set: their figures side by side, and the images they see differently."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mtpd.detectors.inference import read_image
from mtpd.errors import UserError
from mtpd.evaluation.coco import CocoFigures, Kind
from mtpd.evaluation.image_scores import ImageScore, image_score, truth_of
from mtpd.files import whole_folder, write_json
from mtpd.overview.models import Model
from mtpd.reporting.pictures import draw_boxes, side_by_side
from mtpd.steps.detections import Item, SplitData, figures

SIDE = 320
"""Pixels: the shorter side of a drawn image is enlarged to at least so many."""

WRITTEN = ("comparison.json", "images")
"""What stands in a folder of a comparison."""


@dataclass(frozen=True)
class Difference:
    """An image, and how well each of the two models does on it."""

    image: Item
    scores: tuple[ImageScore, ImageScore]

    @property
    def gain(self) -> float:
        """F1 of the second model less that of the first."""
        return self.scores[1].f1 - self.scores[0].f1


@dataclass(frozen=True)
class Comparison:
    """Two models on a split.

    Attributes:
        models: Their names.
        split: Its name.
        images: Number of its images.
        figures: COCO's figures of each, by kind.
        differences: Of every image, the largest first.
    """

    models: tuple[str, str]
    split: str
    images: int
    figures: tuple[dict[Kind, CocoFigures], dict[Kind, CocoFigures]]
    differences: tuple[Difference, ...]

    def rows(self) -> list[tuple[str, float | None, float | None]]:
        """Key and both values of every figure, and AP of every class."""
        first, second = self.figures
        found = []
        for kind, own in first.items():
            other = second[kind]
            found += [(key, value, other.figures[key]) for key, value in own.figures.items()]
            found += [
                (f"{kind}_mAP of {name}", value, other.classes[name])
                for name, value in own.classes.items()
            ]
        return found


def compare(
    models: tuple[Model, Model],
    found: tuple[dict[Kind, list[Item]], dict[Kind, list[Item]]],
    data: SplitData,
    threshold: float,
) -> Comparison:
    """Compare what two models have found on a split.

    Args:
        models: The two.
        found: Detections of each.
        data: The split.
        threshold: Lowest score of detections that count for a single image.
    """
    truth = data.truth()
    label_of = {category: label for label, category in enumerate(data.category_ids)}
    objects = _by_image(truth.dataset["annotations"])
    detections = [_by_image(own["bbox"]) for own in found]
    differences = []
    for image in data.images:
        truths = truth_of(objects[image["id"]], label_of)
        first, second = (
            image_score(*_above(own[image["id"]], label_of, threshold), *truths)
            for own in detections
        )
        differences.append(Difference(image, (first, second)))
    differences.sort(key=lambda difference: -abs(difference.gain))
    return Comparison(
        (models[0].name, models[1].name),
        data.name,
        len(data.images),
        (figures(data, found[0]), figures(data, found[1])),
        tuple(differences),
    )


def write_comparison(
    comparison: Comparison,
    found: tuple[dict[Kind, list[Item]], dict[Kind, list[Item]]],
    data: SplitData,
    out: Path,
    threshold: float,
    number: int,
) -> None:
    """Write ``comparison.json`` and pictures of the ``number`` images that differ most.

    A picture has the image with its true boxes, and with those of either model.

    Raises:
        UserError: ``out`` holds other files.
    """
    others = {file.name for file in out.iterdir()} - set(WRITTEN) if out.is_dir() else set()
    if out.is_file() or others:
        problem = f"holds other files than a comparison ({min(others, default=out.name)})"
        raise UserError(out, problem, "give another folder by --out")
    label_of = {category: label for label, category in enumerate(data.category_ids)}
    objects = _by_image(data.truth().dataset["annotations"])
    detections = [_by_image(own["bbox"]) for own in found]
    with whole_folder(out) as folder:
        write_json(folder / "comparison.json", _as_json(comparison, threshold))
        (folder / "images").mkdir()
        for place, difference in enumerate(differing(comparison, number), start=1):
            image = difference.image
            pixels = read_image(data.folder / image["file_name"])
            corners, labels, _ = truth_of(objects[image["id"]], label_of)
            panels = [
                ("truth", draw_boxes(pixels, corners, labels, None, data.classes, None, SIDE))
            ]
            for name, own, score in zip(
                comparison.models, detections, difference.scores, strict=True
            ):
                boxes, kinds, sure = _above(own[image["id"]], label_of, threshold)
                drawn = draw_boxes(pixels, boxes, kinds, sure, data.classes, at_least=SIDE)
                title = f"{name}: {score.found} found, {score.missed} missed, {score.wrong} wrong"
                panels.append((title, drawn))
            name = f"{place:02d}_{Path(image['file_name']).stem}.png"
            Image.fromarray(side_by_side(panels)).save(folder / "images" / name)


def differing(comparison: Comparison, number: int) -> Sequence[Difference]:
    """The ``number`` images that differ most, without those that do not differ."""
    return [own for own in comparison.differences[:number] if own.gain]


def _as_json(comparison: Comparison, threshold: float) -> dict[str, Any]:
    return {
        "models": comparison.models,
        "split": comparison.split,
        "images": comparison.images,
        "figures": {key: [first, second] for key, first, second in comparison.rows()},
        "score_threshold_of_images": threshold,
        "by_image": [
            {
                "id": own.image["id"],
                "file_name": own.image["file_name"],
                "f1": [score.f1 for score in own.scores],
                "found": [score.found for score in own.scores],
                "missed": [score.missed for score in own.scores],
                "wrong": [score.wrong for score in own.scores],
            }
            for own in comparison.differences
        ],
    }


def _by_image(items: Sequence[Item]) -> dict[int, list[Item]]:
    found: dict[int, list[Item]] = defaultdict(list)
    for item in items:
        found[item["image_id"]].append(item)
    return found


def _above(
    items: Sequence[Item], label_of: dict[int, int], threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners, classes and scores of detections from ``threshold`` on."""
    kept = [item for item in items if item["score"] >= threshold]
    corners, labels, _ = truth_of(kept, label_of)
    return corners, labels, np.array([item["score"] for item in kept], float)
