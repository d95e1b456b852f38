"""Images without boxes reach training, or are left out, as the experiment says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import MICRO, PROJECT, changed
from mmdet.registry import DATASETS
from mmengine.registry import init_default_scope

import mtpd.detectors.loading  # noqa: F401  registers SeededDataset
from mtpd.chains import Chain
from mtpd.data.shapes import generate_shapes
from mtpd.experiment.recipes import Task
from mtpd.files import read_json
from mtpd.steps.check import check_detector, check_pair
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.stage import train_stage
from mtpd.steps.train import train_detector

GFL = str(PROJECT / "config" / "detectors" / "gfl_small.py")
LOSSES = ("feature_matching", "cwd", "pkd", "mgd", "fgd", "pgd")
IMAGES, EMPTY = 8, 5


def opened(folder: Path, *changes: tuple[str, Any]) -> Context:
    """A prepared experiment on eight images, five of them without boxes."""
    root = folder / "coco"
    for split in ("train", "val"):
        if not (root / split).is_dir():
            generate_shapes(root / split, split=split, images=IMAGES, size=64, seed=0)
    path = root / "train" / "annotations.json"
    coco = json.loads(path.read_text())
    kept = [image["id"] for image in coco["images"][EMPTY:]]
    boxes = [item for item in coco["annotations"] if item["image_id"] in kept]
    path.write_text(json.dumps({**coco, "annotations": boxes}))
    splits = {
        split: {"annotations": f"{split}/annotations.json", "images": f"{split}/images"}
        for split in ("train", "val")
    }
    experiment = folder / "empty.yaml"
    settings = changed(
        MICRO,
        ("data", {"source": "coco", "root": str(root), **splits}),
        ("training.batch_size", 2),
        ("student.config", GFL),
        ("teachers", {"a": {"config": GFL}}),
        ("methods", {"all": {"losses": [{"type": name} for name in LOSSES]}}),
        ("runs", {"direct": {"method": "all", "order": ["a"]}}),
        *changes,
    )
    experiment.write_text(yaml.safe_dump(settings))
    context = Context.open(experiment, folder / "results")
    prepare_data(context.experiment, context.layout)
    return context


def trained_on(context: Context) -> int:
    """Images of an epoch, in the data set as MMDetection builds it."""
    init_default_scope("mmdet")
    config = context.detector_config("student", context.experiment.training)
    return len(DATASETS.build(config.train_dataloader.dataset))


@pytest.mark.parametrize(("setting", "number"), [("keep", IMAGES), ("drop", IMAGES - EMPTY)])
def test_what_is_trained_on(tmp_path: Path, setting: str, number: int) -> None:
    context = opened(tmp_path, ("data.empty_images", setting))
    assert context.dataset.splits["train"].n_empty == EMPTY
    assert context.dataset.splits["val"].n_empty == 0
    assert trained_on(context) == number


def test_they_are_kept_unless_said(tmp_path: Path) -> None:
    assert trained_on(opened(tmp_path)) == IMAGES


def test_identities_tell_them_apart_where_there_are_any(tmp_path: Path) -> None:
    def settings(context: Context) -> dict[str, Any]:
        return context.recipes.of(Task("train", ("student",))).settings

    kept = settings(opened(tmp_path))
    dropped = settings(opened(tmp_path, ("data.empty_images", "drop")))
    assert kept == {**dropped, "empty_images": "keep"}
    context = opened(tmp_path)
    assert "empty_images" in settings(context)
    raw = read_json(context.layout.dataset)
    raw["splits"]["train"]["n_empty"] = 0
    context.layout.dataset.write_text(json.dumps(raw))
    # As before there was such a setting: results stay what they are.
    assert settings(Context.open(tmp_path / "empty.yaml", tmp_path / "results")) == dropped
    del raw["splits"]["train"]["n_empty"]
    context.layout.dataset.write_text(json.dumps(raw))
    assert settings(Context.open(tmp_path / "empty.yaml", tmp_path / "results")) == kept


@pytest.mark.slow
def test_every_loss_learns_from_batches_without_boxes(tmp_path: Path) -> None:
    """Of four batches of two, at least one has no box at all."""
    context = opened(tmp_path)
    layout = context.layout
    for name in ("student", "a"):
        check_detector(context, name)
        train_detector(context, name)
    check_pair(context, "all", "a")
    train_stage(context, "all", Chain.parse("a"))
    losses = read_json(layout.stage("all", "a").history)["epochs"][0]["train"]
    assert {f"loss_distill_{name}" for name in LOSSES} <= losses.keys()
    assert all(math.isfinite(value) for value in losses.values())
