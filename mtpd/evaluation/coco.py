"""COCO's twelve figures for boxes or masks.

They are computed by faster-coco-eval, which does pycocotools' loops in C++; the tests hold them to
those of pycocotools.
"""

from __future__ import annotations

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
    evaluation = COCOeval(truth, _results(truth, found), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    values = (_measured(value) for value in evaluation.stats)
    return CocoFigures(
        {f"{kind}_{name}": value for name, value in zip(FIGURES, values, strict=True)},
        _class_figures(truth, evaluation),
    )


def ground_truth(instances: dict[str, Any]) -> COCO:
    """Annotations that detections can be compared with, from a COCO instances JSON."""
    # pycocotools notes a match by the annotation's id, and takes the id 0 for none.
    for number, annotation in enumerate(instances["annotations"], start=1):
        annotation["id"] = number
    return _indexed(instances)


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
