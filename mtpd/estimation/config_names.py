"""What the name of a detector's config says about it, without running the config.

MMDetection names a config ``<detector>_<backbone>_<neck>_<training>_<data>.py``, such as
``cascade-mask-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py``; the training is ``1x`` for 12 epochs, ``20e``
for 20, ``8xb2`` for two images on each of eight GPUs, ``amp`` for mixed precision. The small
detectors of this project end in ``w16`` where a layer that usually has 64 channels has 16.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

USUAL_EPOCHS = 12
USUAL_BATCH = 2
USUAL_WIDTH = 64


@dataclass(frozen=True)
class ConfigName:
    """The file name of a config, without folder and suffix, words joined by ``-``."""

    text: str

    @classmethod
    @cache
    def of(cls, config: str) -> ConfigName:
        """Name of a config given as a file or as ``package::folder/name.py``."""
        stem = PurePosixPath(config.rpartition("::")[2]).stem
        return cls(stem.lower().replace("_", "-"))

    def first_of(self, words: Iterable[str]) -> str | None:
        """The longest of ``words`` that the name contains, between hyphens; None: it has none."""
        found = [word for word in words if f"-{word}-" in f"-{self.text}-"]
        return max(found, key=len, default=None)

    @property
    def epochs(self) -> int:
        """Length of the config's own training; 12 if the name does not say."""
        if match := re.search(r"(?:^|-)(\d+)x(?:-|$)", self.text):
            return USUAL_EPOCHS * int(match[1])
        match = re.search(r"(?:^|-)(\d+)e(?:-|$)", self.text)
        return int(match[1]) if match else USUAL_EPOCHS

    @property
    def batch_size(self) -> int:
        """Images of one step on one GPU; 2 if the name does not say."""
        match = re.search(r"(?:^|-)\d+xb(\d+)(?:-|$)", self.text)
        return int(match[1]) if match else USUAL_BATCH

    @property
    def amp(self) -> bool:
        """Whether the config's own training uses mixed precision."""
        return self.first_of(["amp"]) is not None

    @property
    def is_deformable(self) -> bool:
        """Whether the backbone has deformable convolutions."""
        return self.first_of(["dconv", "mdconv"]) is not None

    @property
    def width(self) -> float:
        """Channels over the usual number."""
        match = re.search(r"-w(\d+)$", self.text)
        return int(match[1]) / USUAL_WIDTH if match else 1.0
