"""Kept maps of a teacher: computed once, those of the images that came, and never wrong ones."""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtpd.distillation.teacher_maps import Maps, TeacherMaps

BATCH, SIDE = 4, 32
IMAGES = torch.rand(10, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
IDS = [7 * number + 3 for number in range(len(IMAGES))]


class Teacher:
    """Two levels by convolutions; counts the images that it has seen."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.convolutions = nn.Conv2d(3, 5, 3, 2, 1), nn.Conv2d(3, 6, 3, 4, 1)
        self.batches: list[int] = []

    @torch.no_grad()
    def __call__(self, inputs: Tensor, samples: Sequence[Any]) -> Maps:
        assert len(inputs) == len(samples)
        self.batches.append(len(inputs))
        return [convolution(inputs) for convolution in self.convolutions]


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({"images": [{"id": number} for number in IDS]}))
    return path


@pytest.fixture
def options(annotations: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "folder": str(tmp_path / "maps"), "key": "k", "annotations": str(annotations),
        "batch_size": BATCH, "sides": 2, "limit_gb": 1,
    }  # fmt: skip


def batch(numbers: Sequence[int], flips: Sequence[bool]) -> tuple[Tensor, list[Any]]:
    """Images as they reach the student: padded by 4 pixels, flipped inside."""
    inputs = torch.zeros(len(numbers), 3, SIDE, SIDE + 4)
    samples = []
    for place, (number, flip) in enumerate(zip(numbers, flips, strict=True)):
        image = IMAGES[number]
        inputs[place, :, :, :SIDE] = image.flip(-1) if flip else image
        samples.append(SimpleNamespace(img_id=IDS[number], img_shape=(SIDE, SIDE), flip=flip))
    return inputs, samples


def epoch(maps: TeacherMaps, teacher: Teacher, seed: int) -> None:
    """All images once, in batches, the last one smaller; every map must be right."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(IMAGES)).tolist()
    for begin in range(0, len(order), BATCH):
        numbers = order[begin : begin + BATCH]
        inputs, samples = batch(numbers, (generator.random(len(numbers)) < 0.5).tolist())
        found = maps.of(inputs, samples, teacher)
        expected = Teacher()(inputs, samples)
        for level, right in zip(found, expected, strict=True):
            assert level.dtype == torch.float32
            assert torch.allclose(level, right, rtol=2e-3, atol=1e-6)


def test_after_one_epoch_the_teacher_has_seen_everything(options: dict[str, Any]) -> None:
    maps, teacher = TeacherMaps(**options), Teacher()
    epoch(maps, teacher, 0)
    assert teacher.batches == [BATCH] * 6, "each batch and its mirror image, the last one filled up"
    for seed in range(1, 6):
        epoch(maps, teacher, seed)
    assert len(teacher.batches) == 6


def test_others_find_them(options: dict[str, Any]) -> None:
    epoch(TeacherMaps(**options), Teacher(), 0)
    teacher = Teacher()
    epoch(TeacherMaps(**options), teacher, 1)
    assert teacher.batches == []
    epoch(TeacherMaps(**{**options, "key": "another"}), teacher, 1)
    assert len(teacher.batches) == 6


def test_maps_do_not_depend_on_what_came_first(options: dict[str, Any], tmp_path: Path) -> None:
    """Another order of images, with other ones in the smaller last batch: the same bits."""
    kept = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        epoch(TeacherMaps(**{**options, "folder": str(folder)}), Teacher(), seed)
        kept.append([np.load(file) for file in sorted(folder.glob("*/level*.npy"))])
    for one, other in zip(*kept, strict=True):
        assert np.array_equal(one, other)


def test_one_side_where_nothing_is_flipped(options: dict[str, Any]) -> None:
    maps, teacher = TeacherMaps(**{**options, "sides": 1}), Teacher()
    for _ in range(2):
        for begin in (0, 4):
            inputs, samples = batch(range(begin, begin + BATCH), [False] * BATCH)
            maps.of(inputs, samples, teacher)
    assert teacher.batches == [BATCH] * 2


@pytest.mark.parametrize(("file", "n_bytes"), [("level01.npy", 1500), ("sums.npy", 16)])
def test_damaged_maps_are_computed_again(options: dict[str, Any], file: str, n_bytes: int) -> None:
    """Both sides of the first image."""
    epoch(TeacherMaps(**options), Teacher(), 0)
    (path,) = Path(options["folder"]).glob(f"*/{file}")
    with path.open("r+b") as damaged:
        damaged.seek(128)  # after the header
        damaged.write(b"!" * n_bytes)
    teacher = Teacher()
    for seed in (1, 2):
        epoch(TeacherMaps(**options), teacher, seed)
    assert len(teacher.batches) == 2


def test_two_that_write_the_same_maps_at_once(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was just kept does not fit its sum: the maps are right all the same."""
    maps, teacher = TeacherMaps(**options), Teacher()
    numbers = itertools.count(1)
    monkeypatch.setattr("mtpd.distillation.teacher_maps._sum", lambda _: next(numbers))
    epoch(maps, teacher, 0)
    assert teacher.batches == [BATCH] * 6


def off(maps: TeacherMaps) -> None:
    """The teacher sees every batch as it comes."""
    teacher = Teacher()
    for seed in (0, 1):
        epoch(maps, teacher, seed)
    assert teacher.batches[-3:] == [4, 4, 2]
    assert len(teacher.batches) >= 6


def test_too_large(options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    epoch(TeacherMaps(**options), Teacher(), 0)
    kept = sum(file.stat().st_size for file in Path(options["folder"]).glob("*/*.npy"))
    caplog.set_level(logging.WARNING)
    off(TeacherMaps(**{**options, "key": "another", "limit_gb": 1.5 * kept / 2**30}))
    assert caplog.text.count("the teacher's maps are not kept: 10 images × 2") == 1
    assert "mtpd store clean --maps" in caplog.text


def test_full_disk(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    off(TeacherMaps(**options))
    assert "No space left on device" in caplog.text
    assert [file.name for file in Path(options["folder"]).iterdir()] == [".lock"]


def test_values_beyond_half_precision(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    maps, inputs = TeacherMaps(**options), batch([0], [False])
    found = maps.of(*inputs, lambda images, _: [1e6 * images])
    assert torch.equal(found[0], 1e6 * inputs[0])
    assert "beyond half precision" in caplog.text
    off(maps)
