"""Giving the teacher its own kind of input when it was trained with another normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Renormalise(nn.Module):
    """Turns a batch normalised for the student into the same batch normalised for the teacher.

    Undoes the student's scaling, swaps RGB and BGR where the two differ, applies the teacher's
    scaling, and fills the padding with the teacher's ``pad_value``. Where the two agree it does
    nothing.

    Args:
        student: The student's ``DetDataPreprocessor``.
        teacher: The teacher's.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, student: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        mean_s, std_s = _mean_and_std(student)
        mean_t, std_t = _mean_and_std(teacher)
        # mean and std stand in the order of the network's input; the swap happens before scaling.
        self.swap = _swaps(student) != _swaps(teacher)
        if self.swap:
            mean_s, std_s = mean_s.flip(0), std_s.flip(0)
        self.register_buffer("scale", std_s / std_t, persistent=False)
        self.register_buffer("shift", (mean_s - mean_t) / std_t, persistent=False)
        same = torch.allclose(self.scale, torch.ones(3, 1, 1)) and not bool(self.shift.any())
        self.padding = float(getattr(teacher, "pad_value", 0))
        same_padding = self.padding == float(getattr(student, "pad_value", 0))
        self.identity = same and same_padding and not self.swap

    def forward(self, images: Tensor, samples: Sequence[Any]) -> Tensor:
        """Images (N, 3, H, W); ``samples`` say how much of each is image (``img_shape``)."""
        if self.identity:
            return images
        raw = images.flip(1) if self.swap else images
        out = raw * self.scale + self.shift
        for image, sample in zip(out, samples, strict=True):
            height, width = sample.img_shape[:2]
            image[:, height:, :] = self.padding
            image[:, :, width:] = self.padding
        return out


def _mean_and_std(preprocessor: Any) -> tuple[Tensor, Tensor]:
    if getattr(preprocessor, "_enable_normalize", False):
        return preprocessor.mean.float(), preprocessor.std.float()
    return torch.zeros(3, 1, 1), torch.ones(3, 1, 1)


def _swaps(preprocessor: nn.Module) -> bool:
    return bool(getattr(preprocessor, "_channel_conversion", False))
