"""Batches and augmentations follow from the seed, wherever they are loaded."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mtpd.data.shapes import generate_shapes
from mtpd.detectors.loading import seeded

SIZE, IMAGES = 48, 10


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes") / "train"
    return generate_shapes(folder, split="train", images=IMAGES, size=SIZE, seed=3)


def loader(annotations: Path, workers: int = 0, seed: int = 0) -> Any:
    init_default_scope("mmdet")
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PhotoMetricDistortion"},
        {"type": "PackDetInputs"},
    ]
    inner = {
        "type": "CocoDataset",
        "ann_file": str(annotations),
        "data_prefix": {"img": str(annotations.parent / "images")},
        "metainfo": {"classes": ("ellipse", "rectangle", "triangle", "star", "ring", "cross")},
        "pipeline": pipeline,
    }
    return Runner.build_dataloader(
        {
            "batch_size": 2,
            "num_workers": workers,
            "persistent_workers": workers > 0,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "batch_sampler": {"type": "ResumableBatchSampler"},
            "dataset": {"type": "SeededDataset", "dataset": inner, "seed": seed},
        },
        seed=seed,
    )


def epoch(found: Any, number: int, skip: int = 0) -> list[torch.Tensor]:
    """Batches of one epoch, each its two images as one tensor."""
    found.batch_sampler.sampler.set_epoch(number)
    found.batch_sampler.skip = skip
    return [torch.stack(batch["inputs"]) for batch in found]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def test_the_number_of_processes_changes_nothing(annotations: Path) -> None:
    for number in (0, 1):
        expected = epoch(loader(annotations), number)
        assert same(epoch(loader(annotations, workers=2), number), expected)


def test_what_was_drawn_before_changes_nothing(annotations: Path) -> None:
    expected = epoch(loader(annotations), 0)
    random.random()
    np.random.rand(7)  # noqa: NPY002
    torch.rand(7)
    assert same(epoch(loader(annotations), 0), expected)


def test_epochs_and_seeds_differ(annotations: Path) -> None:
    found = loader(annotations)
    first = epoch(found, 0)
    assert not same(epoch(found, 1), first)
    assert not same(epoch(loader(annotations, seed=1), 0), first)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("skip", [1, 3, 5])
def test_the_rest_of_an_epoch_is_that_of_the_whole(
    annotations: Path, skip: int, workers: int
) -> None:
    expected = epoch(loader(annotations), 1)
    found = loader(annotations, workers)
    assert same(epoch(found, 1, skip), expected[skip:])
    assert same(epoch(found, 1), expected)  # the next pass leaves nothing out
    assert len(found) == IMAGES // 2


def test_a_pass_that_was_left_early_leaves_nothing_behind(annotations: Path) -> None:
    expected = epoch(loader(annotations), 0)
    found = loader(annotations)
    next(iter(found))
    assert same(epoch(found, 0), expected)


def test_no_image_is_loaded_that_is_left_out(annotations: Path) -> None:
    found = loader(annotations)
    asked: list[Any] = []
    inner = found.dataset.dataset
    original = type(inner).__getitem__
    inner.__class__ = type(
        "Counting", (type(inner),), {"__getitem__": lambda s, i: asked.append(i) or original(s, i)}
    )
    epoch(found, 0, skip=3)
    assert len(asked) == IMAGES - 6


def test_generators_are_as_before_afterwards() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    with seeded([1, 2, 3]):
        inside = random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002
    with seeded([1, 2, 3]):
        assert (random.random(), float(np.random.rand()), float(torch.rand(()))) == inside  # noqa: NPY002
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
