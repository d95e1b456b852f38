"""A made-up CrowdHuman through the data step, the checks, a training and the evaluation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from micro import MICRO, changed
from mmdet.registry import DATASETS
from mmengine.registry import init_default_scope
from PIL import Image

from mtpd.data.check import check_data, published_target
from mtpd.data.dataset import Dataset
from mtpd.evaluation.crowdhuman import crowd_figures
from mtpd.experiment.load import load_experiment
from mtpd.files import read_json
from mtpd.settings.experiment import Training
from mtpd.steps.check import check_detector
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.evaluate import evaluate_detector
from mtpd.steps.train import train_detector

# Of every image, 64 pixels wide and 48 high: a person whose feet lie far below the image, one
# wholly inside, and a group to ignore.
BOXES = [
    {"tag": "person", "fbox": [8, 10, 20, 90], "extra": {"box_id": 0, "occ": 1}},
    {"tag": "person", "fbox": [34, 6, 12, 30], "extra": {"box_id": 1, "occ": 0}},
    {"tag": "mask", "fbox": [50, 0, 14, 40], "extra": {"ignore": 1}},
]


def make_crowdhuman(root: Path) -> dict[str, Any]:
    """Four images to train and two to validate on; the settings that name them."""
    (root / "Images").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        names = [f"273271,{split}{i}" for i in range(count)]
        for name in names:
            pixels = draw.integers(0, 80, (48, 64, 3), dtype=np.uint8)
            for box in BOXES[:2]:
                x, y, width, height = box["fbox"]
                pixels[y : y + height, x : x + width] += 120
            Image.fromarray(pixels).save(root / "Images" / f"{name}.jpg")
        lines = [json.dumps({"ID": name, "gtboxes": BOXES}) for name in names]
        (root / f"annotation_{split}.odgt").write_text("\n".join(lines) + "\n")
    return {"source": "crowdhuman", "root": str(root)}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("crowdhuman")
    data = make_crowdhuman(folder / "CrowdHuman")
    path = folder / "micro.yaml"
    options = {
        "model.test_cfg.max_per_img": 500,
        "model.test_cfg.score_thr": 0.0,
        "model.test_cfg.nms.iou_threshold": 0.95,
    }
    path.write_text(yaml.safe_dump(changed(MICRO, ("data", data), ("student.options", options))))
    opened = Context.open(path, folder / "results")
    prepare_data(opened.experiment, opened.layout)
    return opened


def test_the_data_set_is_prepared(context: Context) -> None:
    dataset = Dataset.load(context.layout.dataset, context.experiment.data)
    assert dataset.protocol == "crowdhuman"
    assert dataset.classes == ("person",)
    assert {name: (s.n_images, s.n_boxes) for name, s in dataset.splits.items()} == {
        "train": (4, 12),
        "val": (2, 6),
    }
    assert dataset.reported == "val"


def test_a_change_of_the_annotations_makes_the_data_anew(context: Context) -> None:
    root = context.experiment.data.root
    before = context.recipes.data().settings
    for split in ("train", "val"):
        path = root / f"annotation_{split}.odgt"
        text = path.read_text()
        try:
            path.write_text(text + "\n")
            after = context.recipes.data().settings
        finally:
            path.write_text(text)
        assert {key for key in after if after[key] != before[key]} == {split}


def test_boxes_are_learnt_clipped_to_the_image(context: Context) -> None:
    """As PGD learns them: its pipeline's Resize clips. Ignore regions are no targets."""
    init_default_scope("mmdet")
    config = context.detector_config("student", Training())
    inputs = DATASETS.build(config.train_dataloader.dataset.dataset)[0]["data_samples"]
    boxes = inputs.gt_instances.bboxes.numpy()
    height, width = inputs.img_shape
    assert (height, width) == (48, 64)
    assert sorted(boxes[:, 3]) == [36, 48]
    assert len(inputs.ignored_instances) == 1


def test_a_detector_is_checked_trained_and_evaluated(context: Context) -> None:
    check_detector(context, "student")
    train_detector(context, "student")
    folder = context.layout.detector("student")
    evaluate_detector(context, "student")
    figures = read_json(folder.metrics)["splits"]["val"]
    crowd = {key: figures[key] for key in ("crowd_AP", "crowd_MR", "crowd_JI")}
    assert all(0 <= value <= 1 for value in crowd.values())
    assert "bbox_mAP" in figures
    annotations = context.dataset.splits["val"].annotations
    detections = folder.detections_of("val", "bbox")
    assert crowd == crowd_figures(annotations, detections)
    # Nothing cuts the detections of an image to COCO's hundred.
    found = [item["image_id"] for item in read_json(detections)]
    assert max(found.count(image) for image in set(found)) > 100


def test_settings_of_another_layout(write_experiment: Any, tmp_path: Path) -> None:
    data = make_crowdhuman(tmp_path / "other")
    (tmp_path / "other" / "val").mkdir()
    for image in (tmp_path / "other" / "Images").glob("*val*"):
        image.rename(tmp_path / "other" / "val" / image.name)
    path = write_experiment(("data", {**data, "images": ["Images", "val"]}))
    context = Context(load_experiment(path), Context.open(path, tmp_path / "results").layout)
    prepare_data(context.experiment, context.layout)
    assert context.dataset.splits["val"].images == tmp_path / "other"


def test_the_check_of_data_lists_every_broken_image_and_other_counts(tmp_path: Path) -> None:
    root = tmp_path / "CrowdHuman"
    make_crowdhuman(root)
    whole = check_data(published_target("CrowdHuman", root))
    problems = [problem for split in whole.splits for problem in split.problems]
    assert [problem.problem.split(",")[0] for problem in problems] == [
        "has 4 images",
        "has 2 images",
    ]
    (root / "Images" / "273271,train1.jpg").write_text("no image")
    (root / "Images" / "273271,train3.jpg").write_text("no image")
    (root / "Images" / "273271,val1.jpg").unlink()
    train, val = check_data(published_target("CrowdHuman", root)).splits
    assert [Path(problem.where).name for problem in train.problems] == [
        "273271,train1.jpg",
        "273271,train3.jpg",
    ]
    assert ["273271,val1.jpg" in problem.problem for problem in val.problems] == [True]
