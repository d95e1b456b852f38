"""Making the student's maps comparable with the teacher's."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class LevelAdapter(nn.Module):
    """Gives the student's maps the teacher's channels and grids, level by level.

    Where channels differ, a trainable 1×1 convolution of that level maps them; where the grids
    differ, the map is resized bilinearly. Where both agree, the map passes as it is.

    Args:
        student_channels: Channels of the student's paired levels.
        teacher_channels: Channels of the teacher's paired levels.
    """

    def __init__(self, student_channels: Sequence[int], teacher_channels: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Identity() if own == target else nn.Conv2d(own, target, kernel_size=1)
            for own, target in zip(student_channels, teacher_channels, strict=True)
        )

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> list[Tensor]:
        """Adapt ``student`` maps (N, C, H, W) to the shapes of the ``teacher`` maps."""
        adapted = []
        for level, source, target in zip(self.levels, student, teacher, strict=True):
            mapped = level(source)
            if mapped.shape[-2:] != target.shape[-2:]:
                size = target.shape[-2:]
                mapped = F.interpolate(mapped, size=size, mode="bilinear", align_corners=False)
            adapted.append(mapped)
        return adapted
