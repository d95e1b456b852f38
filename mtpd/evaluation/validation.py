"""Validation during training, by the figures that the evaluation reports."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric

from mtpd.evaluation.coco import Kind, figures_of, ground_truth
from mtpd.evaluation.detections import detections_of
from mtpd.files import read_json

NOTHING = -1.0
"""What pycocotools says where there is nothing to find."""


@METRICS.register_module()
class CocoFiguresMetric(BaseMetric):
    """COCO's twelve figures for boxes, and for masks, as ``coco/bbox_mAP`` and so on, unrounded.

    Args:
        ann_file: Instances JSON of the split.
        kinds: Boxes, masks or both.
    """

    default_prefix = "coco"

    def __init__(self, ann_file: str, kinds: Sequence[Kind]) -> None:
        super().__init__()
        self._annotations, self._kinds = Path(ann_file), kinds

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:  # noqa: ARG002
        """Keep the detections of a batch."""
        ids = self._category_ids
        for sample in data_samples:
            self.results.append({kind: detections_of(sample, kind, ids) for kind in self._kinds})

    def compute_metrics(self, results: list[dict[Kind, list[dict[str, Any]]]]) -> dict[str, float]:
        """The figures, from the detections of all processes."""
        figures: dict[str, float] = {}
        for kind in self._kinds:
            # The annotations are changed by the comparison.
            truth = ground_truth(read_json(self._annotations))
            found = [item for image in results for item in image[kind]]
            measured = figures_of(truth, found, kind).figures
            figures |= {k: NOTHING if v is None else v for k, v in measured.items()}
        return figures

    @cached_property
    def _category_ids(self) -> list[int]:
        """COCO category of each of the detector's labels."""
        assert self.dataset_meta is not None, "the evaluator gives it"
        categories = read_json(self._annotations)["categories"]
        ids = {category["name"]: category["id"] for category in categories}
        return [ids[label] for label in self.dataset_meta["classes"]]
