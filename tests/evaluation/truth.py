"""Small annotation sets and detections, written as COCO's JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

SIDE = 400


def box(
    x: float, y: float, w: float, h: float, *, image: int = 1, category: int = 1, crowd: int = 0
) -> dict[str, Any]:
    """An annotation."""
    return {
        "image_id": image, "category_id": category, "bbox": [x, y, w, h], "area": w * h,
        "iscrowd": crowd,
    }  # fmt: skip


def found(
    x: float, y: float, w: float, h: float, score: float, *, image: int = 1, category: int = 1
) -> dict[str, Any]:
    """A detected box."""
    return {"image_id": image, "category_id": category, "bbox": [x, y, w, h], "score": score}


def mask(x: int, y: int, w: int, h: int) -> dict[str, Any]:
    """Run-length code of a filled rectangle."""
    pixels = np.zeros((SIDE, SIDE), dtype=np.uint8, order="F")
    pixels[y : y + h, x : x + w] = 1
    code = rle.encode(pixels)
    return {**code, "counts": code["counts"].decode()}


def write(
    folder: Path,
    annotations: list[dict[str, Any]],
    detections: list[dict[str, Any]],
    *,
    images: int = 1,
    categories: int = 1,
    first_id: int = 1,
) -> tuple[Path, Path]:
    """Files of annotations and detections; categories are called ``c1`` and so on."""
    truth = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": SIDE, "height": SIDE}
            for i in range(1, images + 1)
        ],
        "categories": [{"id": i, "name": f"c{i}"} for i in range(1, categories + 1)],
        "annotations": [{"id": i, **item} for i, item in enumerate(annotations, start=first_id)],
    }
    files = folder / "truth.json", folder / "detections.json"
    for file, content in zip(files, (truth, detections), strict=True):
        file.write_text(json.dumps(content))
    return files


def by_hand(annotations: Path, detections: Path, kind: str) -> list[float | None]:
    """The twelve figures as pycocotools' own example gets them; None for -1."""
    truth = COCO(str(annotations))
    evaluation = COCOeval(truth, truth.loadRes(str(detections)), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [None if value == -1 else value for value in evaluation.stats]
