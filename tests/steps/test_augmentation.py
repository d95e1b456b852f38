"""Presets of augmentation: within the size, the same for all, the same after an interruption."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from micro import MICRO, PROJECT, changed
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mtpd.chains import Chain
from mtpd.detectors.content import training_content
from mtpd.detectors.loading import SeededDataset
from mtpd.detectors.weights import save_weights
from mtpd.distillation.distiller import Distiller
from mtpd.errors import UserError
from mtpd.experiment.load import load_experiment
from mtpd.files import sha256_of
from mtpd.settings.experiment import ImagePipeline, Training
from mtpd.steps.configs import detector_training_config, stage_config
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.stage import train_stage

PRESETS = ("light", "strong")


def opened(folder: Path, *changes: tuple[str, Any]) -> Context:
    settings = changed(
        MICRO,
        ("data.train", 16),
        ("teachers", {"a": MICRO["teachers"]["b"]}),
        ("methods", {"m": {"losses": [{"type": "fgd"}, {"type": "mgd"}]}}),
        ("runs", {"run": {"method": "m", "order": ["a"]}}),
        ("ordering", {}),
        ("training.decay_at", ...),
        *changes,
    )
    folder.mkdir(exist_ok=True)
    (folder / "micro.yaml").write_text(yaml.safe_dump(settings))
    context = Context.open(folder / "micro.yaml", folder / "results")
    prepare_data(context.experiment, context.layout)
    return context


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Context]:
    folder = tmp_path_factory.mktemp("augmentation")
    size = ("pipeline.size", [96, 48])
    found = {p: opened(folder / p, ("pipeline.augment", p), size) for p in PRESETS}
    return {**found, "none": opened(folder / "none", size)}


def images(context: Context, epoch: int = 0) -> Iterator[Any]:
    init_default_scope("mmdet")
    config = detector_training_config(context, "student")
    dataset = SeededDataset(config.train_dataloader.dataset.dataset, seed=0)
    return (dataset[index, epoch] for index in range(len(dataset)))


def test_images_stay_within_the_size_and_boxes_within_images(contexts: dict[str, Context]) -> None:
    """Images are square and fitted into 48 pixels."""
    sides = {}
    for name, context in contexts.items():
        found = list(images(context)) + list(images(context, 1))
        shapes = np.array([sample["data_samples"].img_shape for sample in found])
        assert shapes.max() <= 96
        assert shapes.min(axis=1).max() <= 48
        for sample in found:
            boxes, (height, width) = (
                sample["data_samples"].gt_instances.bboxes,
                sample["inputs"].shape[1:],
            )
            assert (boxes.tensor >= 0).all()
            assert (boxes.tensor <= torch.tensor([width, height] * 2)).all()
            assert len(boxes)
        sides[name] = shapes.min(axis=1)
    assert set(sides["none"]) == {48}
    assert 0.8 * 48 - 1 <= sides["light"].min() < 0.85 * 48
    assert 0.2 * 48 <= sides["strong"].min() < 0.6 * 48


def test_colours_change_more_with_the_stronger_one(contexts: dict[str, Context]) -> None:
    """The flip and the crop change no colour of the background, of which most pixels are."""

    def colours(context: Context) -> np.ndarray:
        return np.array(
            [
                sample["inputs"].float().median(-1)[0].median(-1)[0].numpy()
                for sample in images(context)
            ]
        )

    plain = colours(contexts["none"])
    light, strong = (np.abs(colours(contexts[p]) - plain).mean() for p in PRESETS)
    assert 2 < light < strong


def test_the_same_image_in_an_epoch_is_augmented_the_same(contexts: dict[str, Context]) -> None:
    for name in PRESETS:
        first, again, later = (list(images(contexts[name], epoch)) for epoch in (0, 0, 1))
        assert all(torch.equal(a["inputs"], b["inputs"]) for a, b in zip(first, again, strict=True))
        alike = (
            a["inputs"].shape == b["inputs"].shape and torch.equal(a["inputs"], b["inputs"])
            for a, b in zip(first, later, strict=True)
        )
        assert not any(alike)


def test_student_and_teacher_have_the_same_pipeline(contexts: dict[str, Context]) -> None:
    for context in contexts.values():
        student, teacher = (detector_training_config(context, name) for name in ("student", "a"))
        stage = stage_config(context, "m", Chain.parse("a"))
        assert student.train_pipeline == teacher.train_pipeline == stage.train_pipeline
        kinds = [step["type"] for step in student.test_pipeline]
        assert kinds == ["LoadImageFromFile", "Resize", "PackDetInputs"]


def test_an_interrupted_stage_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    method = {"losses": [{"type": "mgd"}], "start": "inherit"}
    whole = opened(
        tmp_path / "whole",
        ("pipeline.augment", "strong"),
        ("methods.m", method),
        ("data.train", 8),
        ("training.batch_size", 2),
        ("saving", {"iterations": 1}),
    )
    init_default_scope("mmdet")
    teacher = MODELS.build(detector_training_config(whole, "a").model)
    save_weights(whole.layout.detector("a").weights, teacher, whole.dataset.classes)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    with caplog.at_level("INFO"):
        train_stage(whole, "m", Chain.parse("a"))
    # Kept maps hold an image as it is and flipped, and no other version of it.
    assert "the teacher sees every batch: pipeline.augment changes images at random" in caplog.text
    assert not whole.store.maps_bytes()

    cut, steps = Context.open(tmp_path / "cut" / "micro.yaml", tmp_path / "cut" / "results"), []
    original = Distiller._teacher_features

    def features(self: Distiller, *arguments: Any) -> Any:
        steps.append(1)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(Distiller, "_teacher_features", features)
    with pytest.raises(KeyboardInterrupt):
        train_stage(cut, "m", Chain.parse("a"))
    assert len(steps) == 3
    train_stage(cut, "m", Chain.parse("a"))
    assert len(steps) == 3 + 2  # of four; the state after the first two was saved
    one, other = (context.layout.stage("m", "a").weights for context in (whole, cut))
    assert one != other
    assert sha256_of(one) == sha256_of(other)


def test_masks_are_cut_and_scaled_with_their_boxes(tmp_path: Path) -> None:
    config = str(PROJECT / "config" / "detectors" / "mask_rcnn_small.py")
    context = opened(tmp_path, ("pipeline.augment", "strong"), ("student.config", config))
    for sample in images(context):
        instances = sample["data_samples"].gt_instances
        assert instances.masks.masks.shape[1:] == sample["inputs"].shape[1:]
        for box, mask in zip(instances.bboxes.tensor, instances.masks.masks, strict=True):
            rows, columns = np.nonzero(mask)
            if len(rows):  # of a thin ring, nothing may be left in a very small image
                left, top, right, bottom = box.tolist()
                assert left - 2 <= columns.min() <= columns.max() <= right + 2
                assert top - 2 <= rows.min() <= rows.max() <= bottom + 2


def test_it_counts_as_content_and_its_absence_does_not(contexts: dict[str, Context]) -> None:
    config = detector_training_config(contexts["none"], "student")

    def content(**settings: Any) -> dict[str, Any]:
        pipeline = ImagePipeline(size=(96, 48), **settings)
        return training_content(config, pipeline, Training(), 0, lambda _: None)

    assert content() == content(augment=None)
    assert "augmentation" not in content()
    assert content(augment="light")["augmentation"] != content(augment="strong")["augmentation"]


def test_it_is_refused_without_a_size(write_experiment: Callable[..., Path]) -> None:
    path = write_experiment(("pipeline", {"augment": "light"}))
    with pytest.raises(
        UserError, match=r"pipeline\.augment: is for images of pipeline\.size, .*; give size"
    ):
        load_experiment(path)
    path = write_experiment(("pipeline", {"size": [64, 64], "augment": "heavy"}))
    with pytest.raises(UserError, match=r"pipeline\.augment"):
        load_experiment(path)
