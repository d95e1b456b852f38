"""What a model finds on a split of an experiment's data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from mtpd.data.dataset import Dataset
from mtpd.data.inspection import Progress
from mtpd.detectors.found import Detector
from mtpd.detectors.inference import read_image
from mtpd.errors import UserError
from mtpd.evaluation.coco import CocoFigures, Kind, figures_of, ground_truth
from mtpd.evaluation.detections import detections_of
from mtpd.files import read_json, sha256_of
from mtpd.layout import ModelFolder
from mtpd.overview.models import Model

Item = dict[str, Any]


@dataclass(frozen=True)
class SplitData:
    """A split as it is compared with: its images, and the ids of the classes' categories.

    Attributes:
        name: Of the split.
        annotations: Instances JSON.
        folder: Of the images.
        images: Those of the JSON.
        classes: Names, in the order of labels.
        category_ids: COCO category of each label.
        has_masks: Whether objects have masks.
    """

    name: str
    annotations: Path
    folder: Path
    images: tuple[Item, ...]
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    has_masks: bool

    def first(self, number: int | None) -> SplitData:
        """The same with the first ``number`` images only; None: all."""
        return self if number is None else replace(self, images=self.images[:number])

    def truth(self) -> Any:
        """Annotations that detections can be compared with, of the images at hand."""
        instances = read_json(self.annotations)
        ids = {image["id"] for image in self.images}
        own = [item for item in instances["annotations"] if item["image_id"] in ids]
        return ground_truth({**instances, "images": list(self.images), "annotations": own})


def split_data(dataset: Dataset, name: str | None) -> SplitData:
    """The split called ``name``; None: the reported one.

    Raises:
        UserError: There is none.
    """
    chosen = dataset.reported if name is None else name
    if chosen not in dataset.splits:
        known = ", ".join(dataset.splits)
        raise UserError("--split", f"the data set has no split '{chosen}'", f"it has: {known}")
    split = dataset.splits[chosen]
    instances = read_json(split.annotations)
    ids = {category["name"]: category["id"] for category in instances["categories"]}
    return SplitData(
        chosen,
        split.annotations,
        split.images,
        tuple(instances["images"]),
        dataset.classes,
        tuple(ids[name] for name in dataset.classes),
        dataset.has_masks,
    )


def detect(
    detector: Detector, data: SplitData, kinds: Sequence[Kind], batch: int, progress: Progress
) -> dict[Kind, list[Item]]:
    """Detections in COCO's results format, of boxes and of masks."""
    advance = progress(len(data.images))
    found: dict[Kind, list[Item]] = {kind: [] for kind in kinds}
    for images in _batches(data.images, batch):
        arrays = [read_image(data.folder / image["file_name"]) for image in images]
        for image, own in zip(images, detector.predict(arrays), strict=True):
            for kind in kinds:
                found[kind] += detections_of(own.sample(image["id"]), kind, data.category_ids)
            advance()
    return found


def detections_of_model(
    model: Model,
    open_it: Callable[[], Detector],
    data: SplitData,
    kinds: Sequence[Kind],
    experiment: str,
    batch: int,
    progress: Progress,
) -> dict[Kind, list[Item]]:
    """What the evaluate step has found with these weights, or else what they find now.

    Raises:
        UserError: The model is for other classes than the data.
    """
    known = _known(model, data, kinds) if model.experiment == experiment else None
    if known is not None:
        return known
    detector = open_it()
    check_classes(model, detector, data)
    return detect(detector, data, kinds, batch, progress)


def check_classes(model: Model, detector: Detector, data: SplitData) -> None:
    """Refuse a model of other classes than the data's, or of another order.

    Raises:
        UserError: It is one.
    """
    if tuple(detector.classes) != data.classes:
        raise UserError(
            model.name,
            f"finds other classes ({', '.join(detector.classes[:5])}) than the data has",
            f"give a model for {', '.join(data.classes[:5])}",
        )


def figures(data: SplitData, found: dict[Kind, list[Item]]) -> dict[Kind, CocoFigures]:
    """COCO's figures of detections."""
    return {kind: figures_of(data.truth(), items, kind) for kind, items in found.items()}


def _known(model: Model, data: SplitData, kinds: Sequence[Kind]) -> dict[Kind, list[Item]] | None:
    """Detections beside the model, if they are of its present weights."""
    folder = ModelFolder(model.weights.parent, model.weights)
    files = {kind: folder.detections_of(data.name, kind) for kind in kinds}
    if not (folder.metrics.is_file() and all(file.is_file() for file in files.values())):
        return None
    if read_json(folder.metrics).get("weights_sha256") != sha256_of(model.weights):
        return None
    ids = {image["id"] for image in data.images}
    return {
        kind: [item for item in read_json(file) if item["image_id"] in ids]
        for kind, file in files.items()
    }


def _batches(images: Sequence[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(images)
    while batch := list(islice(remaining, size)):
        yield batch
