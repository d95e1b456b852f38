"""Sampling FPN maps at points that are the same for every detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def choose_images(image_ids: Sequence[int], count: int, seed: int) -> list[int]:
    """At most ``count`` of ``image_ids``, drawn without replacement, sorted."""
    pool = np.asarray(sorted(image_ids))
    drawn = np.random.default_rng(seed).permutation(len(pool))[:count]
    return sorted(int(pool[index]) for index in drawn)


def sample_points(seed: int, image_id: int, count: int) -> np.ndarray:
    """Points (count, 2) as x, y in [0, 1) of the image's width and height."""
    return np.random.default_rng([seed, image_id]).random((count, 2))


def sample_map(
    feature_map: Tensor, points: Tensor, image_shape: tuple[float, float], stride: int
) -> Tensor:
    """Values (count, C) of one map (1, C, H, W) at ``points``, bilinearly.

    Cell i of the map stands for the input's pixels from i·stride to (i + 1)·stride, so a map may
    reach beyond an input whose side is no multiple of the stride.

    Args:
        feature_map: A level's map of one image.
        points: (count, 2), x and y relative to the image.
        image_shape: Height and width, in pixels, of the resized image inside the network's input.
        stride: Input pixels of one cell.
    """
    height, width = feature_map.shape[-2:]
    pixels = points * points.new_tensor([image_shape[1], image_shape[0]])
    extent = points.new_tensor([width * stride, height * stride])
    grid = (pixels / extent * 2 - 1).to(feature_map.dtype)
    # align_corners=False: -1 and 1 are the outer edges of the map's border cells, as for pixels.
    values = F.grid_sample(
        feature_map, grid[None, :, None], padding_mode="border", align_corners=False
    )
    return values[0, :, :, 0].T


def sample_levels(
    maps: Mapping[int, Tensor],
    points: np.ndarray,
    image_shape: tuple[float, float],
) -> dict[int, np.ndarray]:
    """:func:`sample_map` for every level: stride → float32 array (count, C)."""
    at = torch.from_numpy(points)
    return {
        stride: sample_map(level, at.to(level.device), image_shape, stride).float().cpu().numpy()
        for stride, level in maps.items()
    }
