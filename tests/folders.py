"""Folders of images and annotations as labelling tools export them, in small."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ("red", "blue")
WIDTH, HEIGHT = 64, 48
Box = tuple[int, int, int, int, int]
"""Class, left, top, width and height."""


def picture(path: Path, seed: int) -> list[Box]:
    """Save noise with a red and, in two of three, a blue rectangle; gives what is on it."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 80, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    boxes: list[Box] = [(0, 4 + seed % 5, 5, 20, 18)]
    if seed % 3:
        boxes.append((1, 30, 24, 24, 16 + seed % 4))
    for kind, x, y, w, h in boxes:
        pixels[y : y + h, x : x + w] = ((250, 60, 60), (60, 60, 250))[kind]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return boxes


def xml(boxes: Sequence[Box], classes: Sequence[str] = CLASSES) -> str:
    """Pascal VOC's XML of a picture."""
    objects = "".join(
        f"<object><name>{classes[kind]}</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
        f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
        for kind, x, y, w, h in boxes
    )
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    return f"<annotation>{size}{objects}</annotation>"


def labels(boxes: Sequence[Box]) -> str:
    """YOLO's lines of a picture."""
    return "".join(
        f"{kind} {(x + w / 2) / WIDTH} {(y + h / 2) / HEIGHT} {w / WIDTH} {h / HEIGHT}\n"
        for kind, x, y, w, h in boxes
    )


def voc(images: Path, annotations: Path, count: int, seed: int = 0) -> list[str]:
    """Pictures and their XML files; gives the names without suffix."""
    names = [f"p{seed + i:03d}" for i in range(count)]
    annotations.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        boxes = picture(images / f"{name}.jpg", seed + i)
        (annotations / f"{name}.xml").write_text(xml(boxes))
    return names


def yolo(images: Path, annotations: Path, count: int, seed: int = 0) -> None:
    """Pictures and their label files."""
    annotations.mkdir(parents=True, exist_ok=True)
    for i in range(seed, seed + count):
        (annotations / f"p{i:03d}.txt").write_text(labels(picture(images / f"p{i:03d}.jpg", i)))


def coco(file: Path, images: Path, count: int, seed: int = 0, prefix: str = "") -> dict[str, Any]:
    """Pictures and their instances file; ``prefix`` stands before the names in it."""
    content: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": i, "name": name} for i, name in enumerate(CLASSES, start=1)],
    }
    for i in range(count):
        name = f"p{seed + i:03d}.jpg"
        boxes = picture(images / name, seed + i)
        size = {"width": WIDTH, "height": HEIGHT}
        content["images"].append({"id": i + 1, "file_name": prefix + name, **size})
        for kind, x, y, w, h in boxes:
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": i + 1,
                    "category_id": kind + 1,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return content


def roboflow(root: Path, counts: Sequence[tuple[str, int]]) -> None:
    """Roboflow's COCO export: a folder for each split, with images and JSON."""
    for number, (split, count) in enumerate(counts):
        coco(root / split / "_annotations.coco.json", root / split, count, seed=100 * number)
