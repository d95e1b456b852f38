"""Detections as files in COCO's results format, written while the detector runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from pycocotools import mask as rle
from torch import Tensor

from mtpd.errors import UserError
from mtpd.evaluation.coco import Kind
from mtpd.files import whole_file

AddItem = Callable[[Mapping[str, Any]], None]


@contextmanager
def json_list(path: Path) -> Iterator[AddItem]:
    """Write a JSON list, one item in a line; yields what adds an item.

    No more than an item is in memory, and the file appears when all are written.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        separator = "[\n"

        def add(item: Mapping[str, Any]) -> None:
            nonlocal separator
            file.write(separator + json.dumps(item, separators=(",", ":"), allow_nan=False))
            separator = ",\n"

        yield add
        file.write("[]\n" if separator == "[\n" else "\n]\n")


class DetectionWriter(BaseMetric):
    """An MMEngine metric that measures nothing: it hands on every detection as COCO wants it.

    Args:
        outputs: What takes the detections of each kind: an item is a box, or a mask.
        category_ids: COCO category of each of the detector's labels.
    """

    default_prefix = "detections"

    def __init__(self, outputs: Mapping[Kind, AddItem], category_ids: Sequence[int]) -> None:
        super().__init__()
        self._outputs = outputs
        self._category_ids = category_ids

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:  # noqa: ARG002
        """Hand on the detections of a batch, image by image."""
        for sample in data_samples:
            number = 0
            for kind, add in self._outputs.items():
                found = detections_of(sample, kind, self._category_ids)
                number = len(found)
                for item in found:
                    add(item)
            self.results.append(number)

    def compute_metrics(self, results: list[int]) -> dict[str, int]:
        """Number of images, and of detections in all of them."""
        return {"images": len(results), "number": sum(results)}


def detections_of(
    sample: Mapping[str, Any], kind: Kind, category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """The boxes or masks that were found in an image, as COCO wants them.

    Args:
        sample: With ``img_id`` and ``pred_instances``, as MMDetection's detectors predict.
        kind: Boxes or masks.
        category_ids: COCO category of each of the detector's labels.

    Raises:
        UserError: A box or score is not finite.
    """
    image, found = sample["img_id"], sample["pred_instances"]
    boxes, scores = _decimal(found["bboxes"]), _decimal(found["scores"])
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise UserError(
            f"image {image}",
            "the detector's boxes or scores are not finite",
            "train it again with a lower learning rate",
        )
    categories = [category_ids[label] for label in found["labels"].tolist()]
    if kind == "bbox":
        sides = _decimal(found["bboxes"][:, 2:] - found["bboxes"][:, :2])
        shapes = np.concatenate([boxes[:, :2], sides], axis=1).tolist()
    else:
        # Without the box: pycocotools would take its area for the mask's.
        scores = _decimal(found["mask_scores"]) if "mask_scores" in found else scores
        shapes = _encoded(found["masks"])
    key = {"bbox": "bbox", "segm": "segmentation"}[kind]
    return [
        {"image_id": image, "category_id": category, key: shape, "score": score}
        for category, shape, score in zip(categories, shapes, scores.tolist(), strict=True)
    ]


def _decimal(values: Tensor) -> np.ndarray:
    """float64 of the fewest digits that name the same float32: half as much to write."""
    return values.detach().cpu().float().numpy().astype(str).astype(np.float64)


def _encoded(masks: Tensor) -> list[dict[str, Any]]:
    """Run-length codes, as JSON, of masks (N, height, width)."""
    stack = np.asfortranarray(masks.detach().cpu().numpy().astype(np.uint8).transpose(1, 2, 0))
    return [{**code, "counts": code["counts"].decode()} for code in rle.encode(stack)]
