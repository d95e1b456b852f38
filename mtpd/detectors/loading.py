"""Training data that can go on anywhere: the order and every augmentation follow from the seed.

Image ``i`` in epoch ``e`` is augmented from random numbers of (seed, e, i) alone, whatever process
loads it and whatever was loaded before. So a training gives the same with any number of loading
processes, and one that was killed goes on with the batches it would have had.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmdet.datasets.samplers import AspectRatioBatchSampler
from mmdet.registry import DATA_SAMPLERS, DATASETS

Key = tuple[int, int]
"""Index of an image, and the epoch in which it is asked for."""


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(AspectRatioBatchSampler):
    """MMDetection's sampler of batches of like aspect ratio, which can leave the first ones out.

    Gives lists of :data:`Key`.

    Attributes:
        skip: How many batches the next pass leaves out, without loading them.
    """

    skip = 0

    def __iter__(self) -> Iterator[list[Key]]:
        """The batches of the sampler's epoch that are left."""
        skip, self.skip = self.skip, 0
        # A pass that was left before its end has left images in them.
        self._aspect_ratio_buckets: list[list[int]] = [[], []]
        epoch = getattr(self.sampler, "epoch", 0)
        for position, batch in enumerate(super().__iter__()):
            if position >= skip:
                yield [(index, epoch) for index in batch]


@DATASETS.register_module()
class SeededDataset:
    """A data set whose random augmentations follow from the seed, the epoch and the image.

    Args:
        dataset: Config of MMDetection's data set inside.
        seed: Of the training.
    """

    def __init__(self, dataset: dict[str, Any], seed: int) -> None:
        self.dataset = DATASETS.build(dataset)
        self.seed = seed

    @property
    def pipeline(self) -> Any:
        """Of the data set inside; PipelineSwitchHook puts another in its place."""
        return self._innermost.pipeline

    @pipeline.setter
    def pipeline(self, pipeline: Any) -> None:
        self._innermost.pipeline = pipeline

    def update_skip_type_keys(self, skip_type_keys: Sequence[str]) -> None:
        """Leave transforms out that mix images, as YOLOXModeSwitchHook asks; there are none."""

    @property
    def _innermost(self) -> Any:
        """The data set inside the one that repeats it, if there is one."""
        return getattr(self.dataset, "dataset", self.dataset)

    @property
    def metainfo(self) -> dict[str, Any]:
        """Of the data set inside."""
        found: dict[str, Any] = self.dataset.metainfo
        return found

    def get_data_info(self, index: int) -> Any:
        """Annotations of an image, before the pipeline."""
        return self.dataset.get_data_info(index)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Any:
        """The image of ``key`` after the pipeline."""
        index, epoch = key
        with seeded([self.seed, epoch, index]):
            return self.dataset[index]


@contextmanager
def seeded(entropy: list[int]) -> Iterator[None]:
    """Seed Python's, NumPy's and torch's CPU generator from ``entropy``, and restore them after."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    words = np.random.SeedSequence(entropy).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(words[1])  # noqa: NPY002  what MMDetection's transforms draw from
    # Not torch.manual_seed, which would seed the GPU's generator too.
    torch.default_generator.manual_seed(int(words[2]))
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
