"""Detectors whose configs bring hooks along: RTMDet and YOLOX, alone and as students."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import MICRO, SMALL, changed
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mtpd.chains import Chain
from mtpd.detectors.loading import SeededDataset
from mtpd.detectors.weights import load_weights
from mtpd.files import read_json
from mtpd.steps.check import check_detector, check_pair
from mtpd.steps.configs import detector_training_config
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.stage import train_stage
from mtpd.steps.train import train_detector

DETECTORS = {
    "rtmdet": "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
    "yolox": "mmdet::yolox/yolox_tiny_8xb8-300e_coco.py",
}


def opened(folder: Path, config: str, *changes: tuple[str, Any]) -> Context:
    path = folder / "micro.yaml"
    settings = changed(
        MICRO,
        ("student.config", config),
        ("student.options", {"model.backbone.init_cfg": None}),
        ("teachers", {"a": {"config": SMALL}}),
        ("training.epochs", 2),
        ("training.optimizer", {"type": "AdamW", "lr": 0.001, "weight_decay": 0.05}),
        ("ordering", {}),
        ("runs", {"chain": {"method": "fm", "order": ["a"]}}),
        *changes,
    )
    path.write_text(yaml.safe_dump(settings))
    context = Context.open(path, folder / "results")
    prepare_data(context.experiment, context.layout)
    return context


@pytest.mark.parametrize("name", ["rtmdet", pytest.param("yolox", marks=pytest.mark.slow)])
def test_they_train_alone_and_as_students(tmp_path: Path, name: str) -> None:
    context = opened(tmp_path, DETECTORS[name])
    for detector in ("student", "a"):
        check_detector(context, detector)
        train_detector(context, detector)
    check_pair(context, "fm", "a")
    train_stage(context, "fm", Chain.parse("a"))
    stage = context.layout.stage("fm", "a")
    epochs = read_json(stage.history)["epochs"]
    assert len(epochs) == 2
    assert epochs[0]["train"]["loss_distill_feature_matching"] > 0
    if name == "yolox":  # its hook adds a loss in the last epochs, to the student inside as well
        for folder in (stage, context.layout.detector("student")):
            assert "loss_l1" in read_json(folder.history)["epochs"][-1]["train"]
    init_default_scope("mmdet")
    student = MODELS.build(Config.fromfile(stage.config).model)
    load_weights(student, stage.weights)


def test_epochs_of_hooks_follow_the_schedule(tmp_path: Path) -> None:
    context = opened(tmp_path, DETECTORS["yolox"], ("training.epochs", 60))
    config = detector_training_config(context, "student")
    (hook,) = (h for h in config.custom_hooks if h["type"] == "YOLOXModeSwitchHook")
    assert hook["num_last_epochs"] == 3  # 15 of 300
    context = opened(tmp_path, DETECTORS["yolox"], ("training.epochs", 2))
    config = detector_training_config(context, "student")
    (hook,) = (h for h in config.custom_hooks if h["type"] == "YOLOXModeSwitchHook")
    assert hook["num_last_epochs"] == 1


def test_a_pipeline_that_is_replaced_is_not_switched_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = opened(tmp_path, DETECTORS["rtmdet"])
    with caplog.at_level(logging.WARNING):
        config = detector_training_config(context, "student")
    assert not [h for h in config.custom_hooks if "Switch" in h["type"]]
    assert "PipelineSwitchHook is left out, as pipeline.size replaces" in caplog.text


def test_a_pipeline_is_switched_in_the_data_set_inside(tmp_path: Path) -> None:
    context = opened(tmp_path, SMALL)
    config = detector_training_config(context, "student")
    described = config.train_dataloader.dataset.dataset
    for inner in (described, {"type": "RepeatDataset", "times": 2, "dataset": described}):
        dataset = SeededDataset(inner, seed=0)
        before = dataset[0, 0]
        dataset.pipeline = lambda results: {"image": results["img_id"]}
        assert dataset[0, 0] == {"image": before["data_samples"].img_id}


@pytest.mark.parametrize(
    ("name", "words"), [("rtmdet", "CachedMosaic.*resumed"), ("yolox", "combines several images")]
)
def test_pipelines_that_do_not_follow_from_the_seed_are_refused(
    tmp_path: Path, name: str, words: str
) -> None:
    context = opened(tmp_path, DETECTORS[name], ("pipeline", {}))
    with pytest.raises(Exception, match=rf"{words}.*; add pipeline.size"):
        detector_training_config(context, "student")
