"""The maps of a frozen teacher, kept on the disk where it sees the same images in every epoch.

Images of one size that are only resized and flipped come to the teacher in two versions at most, so
its maps need to be computed once. They are kept in half precision, in memory-mapped files, under a
digest of all that they depend on: other stages and runs with the same teacher find them there.

When a batch has an image that is not kept yet, the teacher sees the whole batch and its mirror
image. So everything is there after one epoch; and as a batch has always as many images, the maps of
an image do not depend on which others came with it.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from mtpd.files import digest_of, read_json, whole_folder

Maps = Sequence[Tensor]
Compute = Callable[[Tensor, Sequence[Any]], Maps]

GIB = 2**30
SUMS = "sums.npy"

logger = logging.getLogger(__name__)


class TeacherMaps:
    """Maps by image and side, computed when they are asked for the first time.

    Args:
        folder: Of all kept maps.
        key: Digest of the teacher, the images and the pipeline.
        annotations: Instances JSON of the training split; gives the images' ids.
        batch_size: Of the training, on one GPU.
        sides: 2 if images come as they are and flipped, 1 if only in one of the two ways.
        limit_gb: GiB that all kept maps may take together; if more are needed, nothing is kept.
    """

    def __init__(
        self, folder: str, key: str, annotations: str, batch_size: int, sides: int, limit_gb: float
    ) -> None:
        self._root, self._key = Path(folder), key
        images = read_json(Path(annotations))["images"]
        self._rows = {image["id"]: row for row, image in enumerate(images)}
        self._batch_size, self._sides, self._limit = batch_size, sides, limit_gb * GIB
        self._levels: list[np.memmap] = []
        self._sums = np.zeros((0, 0), dtype=np.uint64)
        self._off = False

    def of(self, inputs: Tensor, samples: Sequence[Any], compute: Compute) -> Maps:
        """Maps of a batch, each (N, C, H, W).

        Args:
            inputs: Images (N, 3, H, W), as the student gets them.
            samples: Of the images; with ``img_id``, ``img_shape`` and ``flip``.
            compute: Gives the maps of other inputs and their samples.
        """
        if self._off:
            return compute(inputs, samples)
        folder = self._root / digest_of([self._key, *_machine(inputs.device)])
        if not self._levels and folder.exists():
            self._open(folder)
        rows = [self._rows[sample.img_id] for sample in samples]
        sides = [int(sample.flip) if self._sides == 2 else 0 for sample in samples]
        found = self._read(rows, sides)
        if found is None:
            computed = self._compute(inputs, samples, compute)
            if not self._levels:
                self._make(folder, [tuple(level.shape[1:]) for level in computed[0]])
            if self._off or not all(_fit_in_half(maps) for maps in computed):
                self._off = True
                return [level[: len(samples)] for level in computed[0]]
            for turned, maps in enumerate(computed):
                self._keep(rows, [side ^ turned for side in sides], maps)
            found = self._read(rows, sides)
            if found is None:  # another process is writing the same maps
                return [level[: len(samples)].half().float() for level in computed[0]]
        return [torch.from_numpy(level).to(inputs.device).float() for level in found]

    def _compute(self, inputs: Tensor, samples: Sequence[Any], compute: Compute) -> list[Maps]:
        """Maps of a whole batch, and of its mirror image where it comes flipped too."""
        again = [number % len(samples) for number in range(max(self._batch_size, len(samples)))]
        inputs, samples = inputs[again], [samples[number] for number in again]
        batches = [inputs] if self._sides == 1 else [inputs, _mirrored(inputs, samples)]
        return [compute(batch, samples) for batch in batches]

    def _read(self, rows: list[int], sides: list[int]) -> list[np.ndarray] | None:
        """Maps of a batch, one array (N, C, H, W) for each level; None: one is not kept."""
        if not self._levels or not self._sums[rows, sides].all():
            return None
        found = [level[rows, sides] for level in self._levels]
        sums = [_sum([level[number] for level in found]) for number in range(len(rows))]
        return found if np.array_equal(self._sums[rows, sides], sums) else None

    def _keep(self, rows: list[int], sides: list[int], maps: Maps) -> None:
        halves = [level[: len(rows)].half().cpu().numpy() for level in maps]
        for number, place in enumerate(zip(rows, sides, strict=True)):
            own = [half[number] for half in halves]
            for level, half in zip(self._levels, own, strict=True):
                level[place] = half
            # The sum comes last: what another process wrote at the same time is found out by it.
            self._sums[place] = _sum(own)

    def _open(self, folder: Path) -> None:
        logger.info("the teacher's maps are kept in %s", folder)
        files = sorted(folder.glob("level*.npy"))
        self._levels = [np.load(file, mmap_mode="r+") for file in files]
        self._sums = np.load(folder / SUMS, mmap_mode="r+")

    def _make(self, folder: Path, shapes: list[tuple[int, ...]]) -> None:
        """Make the files for maps (C, H, W) of each level, if there is room for them."""
        places = (len(self._rows), self._sides)
        needed = 2 * int(np.prod(places)) * sum(int(np.prod(shape)) for shape in shapes)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with FileLock(self._root / ".lock", fallback_to_soft=False):
                taken = sum(file.stat().st_size for file in self._root.glob("*/*.npy"))
                room = folder.exists() or taken + needed <= self._limit
                if room and not folder.exists():
                    with whole_folder(folder) as new:
                        for number, shape in enumerate(shapes):
                            _allocate(new / f"level{number:02}.npy", (*places, *shape), np.float16)
                        _allocate(new / SUMS, places, np.uint64)
        except OSError as error:
            self._off = True
            logger.warning("the teacher's maps are not kept: %s: %s", folder, error.strerror)
            return
        what = f"{places[0]} images × {places[1]}, {needed / GIB:.2f} GiB"
        if not room:
            self._off = True
            logger.warning(
                "the teacher's maps are not kept: %s and %.2f GiB of others are more than "
                "teacher.cache_gb, %g (`mtpd store clean --maps` removes them)",
                what, taken / GIB, self._limit / GIB,
            )  # fmt: skip
            return
        logger.info("the teacher's maps: %s", what)
        self._open(folder)


def _allocate(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    """An array of zeros in a file. Without its room set aside, a full disk would end the process.

    Raises:
        OSError: There is not enough room.
    """
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _machine(device: torch.device) -> list[Any]:
    """What the last digits of the maps depend on."""
    if device.type == "cuda":
        return [torch.__version__, torch.cuda.get_device_name(device)]
    return [torch.__version__, device.type, torch.get_num_threads()]


def _mirrored(inputs: Tensor, samples: Sequence[Any]) -> Tensor:
    """Images (N, 3, H, W), each flipped inside its own ``img_shape``; the padding stays."""
    out = inputs.clone()
    for image, sample in zip(out, samples, strict=True):
        height, width = sample.img_shape[:2]
        image[:, :height, :width] = image[:, :height, :width].flip(-1)
    return out


def _fit_in_half(maps: Maps) -> bool:
    """Whether half precision has numbers for all values; it is said if not."""
    if all(bool(level.abs().max() < torch.finfo(torch.float16).max) for level in maps):
        return True
    logger.warning("the teacher's maps are not kept: they have values beyond half precision")
    return False


def _sum(maps: Sequence[np.ndarray]) -> int:
    """Checksum of an image's maps, never 0."""
    total = 0
    for level in maps:
        total = zlib.crc32(level.tobytes(), total)
    return total + 1
