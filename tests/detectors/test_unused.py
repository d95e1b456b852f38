"""What a config says and has no effect is named, one sentence for each."""

from __future__ import annotations

from typing import Any

import pytest
from mmengine.config import Config

from mtpd.detectors.unused import unused
from mtpd.settings.experiment import Training

OPTIMIZER = {"type": "SGD", "lr": 0.02}


def said(
    config: dict[str, Any], *options: str, training: Training | None = None, images: int = 16
) -> list[str]:
    return unused(Config(config), options, training or Training(), images)


def test_nothing_to_say() -> None:
    config = {
        "optim_wrapper": {"optimizer": OPTIMIZER},
        "auto_scale_lr": {"enable": False, "base_batch_size": 16},
        "train_dataloader": {
            "sampler": {"type": "DefaultSampler"},
            "batch_sampler": {"type": "AspectRatioBatchSampler"},
            "dataset": {"type": "RepeatDataset", "dataset": {"type": "CocoDataset"}},
        },
    }
    used = ("model.neck.num_outs", "train_dataloader.batch_size", "find_unused_parameters")
    pipeline = "train_dataloader.dataset.pipeline.2.scale"
    assert said(config, *used, pipeline) == []
    (only,) = unused(Config(config), [*used, pipeline], Training(), 16, own_pipelines=False)
    assert only.startswith(f"options.{pipeline} has no effect")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"load_from": "a.pth"}, "load_from (a.pth) is not used: give it as start_from"),
        (
            {"train_dataloader": {"dataset": {
                "type": "ClassBalancedDataset", "dataset": {"type": "CocoDataset"}
            }}},
            "ClassBalancedDataset around the training data is left out",
        ),
        (
            {"train_dataloader": {"sampler": {"type": "InfiniteSampler"}}},
            "InfiniteSampler is left out",
        ),
    ],
)  # fmt: skip
def test_what_is_left_out(config: dict[str, Any], words: str) -> None:
    (only,) = said(config)
    assert only.startswith(words)


@pytest.mark.parametrize(
    "option", ["train_dataloader.num_workers", "val_evaluator", "train_pipeline.2.scale"]
)
def test_options_without_effect(option: str) -> None:
    assert said({}, option, "model.backbone.depth") == [
        f"options.{option} has no effect: use the experiment's own settings"
    ]


def test_a_rate_that_is_made_for_another_batch() -> None:
    config = {
        "optim_wrapper": {"optimizer": OPTIMIZER},
        "auto_scale_lr": {"base_batch_size": 16},
    }
    (only,) = said(config, images=2)
    assert only == (
        "its learning rate (0.02) is made for steps of 16 images, and here they have 2: set "
        "training.lr_for_batch: 16, and the rate follows"
    )
    assert said(config, images=2, training=Training(lr_for_batch=16)) == []
    assert said(config, images=2, training=Training(optimizer=OPTIMIZER)) == []


def test_the_filter_of_images_is_a_setting_of_the_data() -> None:
    option = "train_dataloader.dataset.filter_cfg.filter_empty_gt"
    (only,) = said({}, option)
    assert only == f"options.{option} has no effect: data.empty_images says what is trained on"
