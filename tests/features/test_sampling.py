"""Sampling at the same places of every detector's maps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mtpd.features.sampling import choose_images, sample_map, sample_points


def test_points_depend_on_seed_and_image_only() -> None:
    assert np.array_equal(sample_points(1, 7, 5), sample_points(1, 7, 5))
    assert not np.array_equal(sample_points(1, 7, 5), sample_points(1, 8, 5))
    assert not np.array_equal(sample_points(1, 7, 5), sample_points(2, 7, 5))
    points = sample_points(0, 3, 1000)
    assert points.shape == (1000, 2)
    assert points.min() >= 0
    assert points.max() < 1


def test_images_are_drawn_once_each_whatever_their_order() -> None:
    ids = list(range(100, 200))
    chosen = choose_images(ids, 20, seed=3)
    assert len(set(chosen)) == 20
    assert chosen == choose_images(ids[::-1], 20, seed=3)
    assert choose_images(ids, 500, seed=3) == ids


@pytest.mark.parametrize("stride", [4, 8, 16])
@pytest.mark.parametrize("padded", [64, 96, 70])
def test_a_map_that_holds_its_own_coordinates_gives_the_point_s_place(
    stride: int, padded: int
) -> None:
    # 70 is no multiple of the strides: the map then reaches beyond the input.
    # Each cell holds the x and y, in pixels, of its centre: bilinear sampling gives them back.
    centres = torch.arange(math.ceil(padded / stride), dtype=torch.float64) * stride + stride / 2
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    points = torch.tensor([[0.5, 0.5], [0.3, 0.6], [0.25, 0.75]], dtype=torch.float64)
    values = sample_map(torch.stack([x, y])[None], points, (48, 64), stride)
    # The image is 48 high and 64 wide, in the upper left corner of the padded input.
    torch.testing.assert_close(values, points * torch.tensor([64.0, 48.0]).double())


def test_points_at_the_border_take_the_border_cell() -> None:
    feature_map = torch.arange(4.0).view(1, 1, 2, 2)
    values = sample_map(feature_map, torch.tensor([[0.0, 0.0], [0.999, 0.999]]), (8, 8), 4)
    torch.testing.assert_close(values[:, 0], torch.tensor([0.0, 3.0]))
