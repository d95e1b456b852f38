"""COCO's twelve figures for boxes or masks.

They are computed by faster-coco-eval, which does pycocotools' loops in C++; the tests hold them to
those of pycocotools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from faster_coco_eval import COCO
from faster_coco_eval import COCOeval_faster as COCOeval

from mtpd.files import read_json

Kind = Literal["bbox", "segm"]

FIGURES = (
    "mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l",
    "AR_1", "AR_10", "AR_100", "AR_s", "AR_m", "AR_l",
)  # fmt: skip
"""In pycocotools' order: AP at IoU 0.50:0.95, 0.50 and 0.75 and by area, AR by detections an image
may have and by area."""


@dataclass(frozen=True)
class CocoFigures:
    """What was measured, as fractions, unrounded; None where there was nothing to find.

    Attributes:
        figures: The twelve, as ``bbox_mAP`` or ``segm_mAP`` and so on.
        classes: AP at IoU 0.50:0.95 of every category, by name.
    """

    figures: dict[str, float | None]
    classes: dict[str, float | None]


def coco_figures(annotations: Path, detections: Path, kind: Kind) -> CocoFigures:
    """Evaluate a file of detections under COCO's protocol: at most 1, 10 and 100 for an image.

    Args:
        annotations: Instances JSON. Crowds are neither found nor missed.
        detections: JSON in COCO's results format, of images of ``annotations``; may be empty.
        kind: Whether boxes or masks are compared.

    Raises:
        UserError: A file cannot be read.
    """
    truth = ground_truth(read_json(annotations, "give a COCO instances JSON"))
    return figures_of(truth, read_json(detections, "run the evaluate step first"), kind)


def figures_of(truth: COCO, found: list[dict[str, Any]], kind: Kind) -> CocoFigures:
    """As :func:`coco_figures`, of annotations and detections in memory."""
    evaluation = _evaluated(truth, found, kind)
    evaluation.summarize()
    values = (_measured(value) for value in evaluation.stats)
    return CocoFigures(
        {f"{kind}_{name}": value for name, value in zip(FIGURES, values, strict=True)},
        _class_figures(truth, evaluation),
    )


@dataclass(frozen=True)
class PrecisionCurves:
    """Precision of boxes by recall, as fractions.

    Attributes:
        recalls: (101,), from 0 to 1.
        classes: Name of every category that has objects → IoU → (101,) precisions.
    """

    recalls: np.ndarray
    classes: dict[str, dict[float, np.ndarray]]

    def mean(self, iou: float) -> np.ndarray | None:
        """Mean precision (101,) of all classes at ``iou``; None: no class has objects."""
        curves = [own[iou] for own in self.classes.values()]
        return np.mean(curves, axis=0) if curves else None


def precision_curves(
    instances: dict[str, Any], found: list[dict[str, Any]], ious: Sequence[float] = (0.5, 0.75)
) -> PrecisionCurves:
    """The curves that COCO's AP at these IoU thresholds is the mean of, for objects of all sizes.

    Args:
        instances: A COCO instances JSON.
        found: Boxes in COCO's results format.
        ious: Some of COCO's thresholds: 0.5, 0.55, … 0.95.
    """
    truth = ground_truth(instances)
    evaluation = _evaluated(truth, found, "bbox")
    # IoU thresholds, recalls, categories, areas, numbers of detections
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    places = {iou: int(np.abs(evaluation.params.iouThrs - iou).argmin()) for iou in ious}
    classes = {
        truth.cats[category]["name"]: {
            iou: precision[place, :, index] for iou, place in places.items()
        }
        for index, category in enumerate(evaluation.params.catIds)
        if (precision[:, :, index] >= 0).all()
    }
    return PrecisionCurves(np.asarray(evaluation.params.recThrs), classes)


def ground_truth(instances: dict[str, Any]) -> COCO:
    """Annotations that detections can be compared with, from a COCO instances JSON."""
    # pycocotools notes a match by the annotation's id, and takes the id 0 for none.
    for number, annotation in enumerate(instances["annotations"], start=1):
        annotation["id"] = number
    return _indexed(instances)


def _evaluated(truth: COCO, found: list[dict[str, Any]], kind: Kind) -> COCOeval:
    evaluation = COCOeval(truth, _results(truth, found), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def _results(truth: COCO, found: list[dict[str, Any]]) -> COCO:
    # pycocotools looks at the first detection to learn what kind they are.
    return truth.loadRes(found) if found else _indexed({**truth.dataset, "annotations": []})


def _indexed(instances: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = instances
    coco.createIndex()
    return coco


def _class_figures(truth: COCO, evaluation: COCOeval) -> dict[str, float | None]:
    """AP of every category over all areas, with the most detections an image may have."""
    # IoU thresholds, recalls, categories, areas, numbers of detections
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    return {
        truth.cats[category]["name"]: _measured(np.mean(precision[:, :, index]))
        for index, category in enumerate(evaluation.params.catIds)
    }


def _measured(value: float) -> float | None:
    """None for -1, by which pycocotools says that there was nothing to measure."""
    return None if value == -1 else float(value)
