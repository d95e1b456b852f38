"""How many images there are, before the data is prepared, for sources of people's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data.yolo_folder import add_image, write_yolo

from mtpd.estimation.images import count_images
from mtpd.experiment.load import load_experiment
from mtpd.layout import Layout


def counted(write_experiment: Any, tmp_path: Path, data: dict[str, Any]) -> dict[str, int]:
    experiment = load_experiment(write_experiment(("data", data)))
    return count_images(experiment, Layout(tmp_path / "results", "micro")).splits


def test_yolo(write_experiment: Any, tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "yolo")
    data = {"source": "yolo", "root": str(root)}
    assert counted(write_experiment, tmp_path, data) == {"train": 2, "val": 1}
    add_image(root / "test" / "d.png")
    assert counted(write_experiment, tmp_path, data) == {"train": 2, "val": 1, "test": 1}


def test_lists(write_experiment: Any, tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "yolo")
    for name, text in (("train", "a\nb\nc\n"), ("val", "d\n\n")):
        (root / f"{name}.txt").write_text(text)
    data = {"root": str(root), "split": str(root)}
    assert counted(write_experiment, tmp_path, {"source": "yolo", **data}) == {"train": 3, "val": 1}
    flat = {"source": "voc", "annotations": ".", "images": ".", **data}
    assert counted(write_experiment, tmp_path, flat) == {"train": 3, "val": 1}
