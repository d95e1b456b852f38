"""Foreground, background and Gaussian weights of positions, against loops and hand-made cases."""

from __future__ import annotations

import pytest
import torch
from loss_inputs import BOXES, LABELS, SIZE, predictions, truth
from naive import naive_fgd_masks, naive_pgd_background, naive_pgd_weights
from torch import Tensor

from mtpd.distillation.features import GroundTruth, Predictions
from mtpd.distillation.masks import box_masks, outside_boxes
from mtpd.distillation.quality import (
    NOISE_VARIANCE,
    gaussian_weights,
    overlap,
    scores_of_boxes,
)

TRUTH = list(zip(BOXES, LABELS, strict=True))
SEEDS = range(5)


def random_truth(seed: int, images: int = 3, boxes: int = 6) -> GroundTruth:
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor([SIZE[1], SIZE[0]]).double()
    found, labels = [], []
    for image in range(images):
        count = boxes - 2 * image
        corner = torch.rand(count, 2, generator=generator, dtype=torch.float64) * size * 0.8
        extent = torch.rand(count, 2, generator=generator, dtype=torch.float64) * size * 0.5
        found.append(torch.cat([corner, torch.minimum(corner + extent, size)], 1))
        labels.append(torch.randint(0, 3, (count,), generator=generator))
    return GroundTruth.of(found, labels, SIZE)


def of_image(found: GroundTruth, image: int) -> tuple[list[tuple[float, ...]], list[int]]:
    kept = found.valid[image]
    boxes = [tuple(box) for box in found.boxes[image][kept].tolist()]
    return boxes, found.labels[image][kept].tolist()


class TestBoxMasks:
    @pytest.mark.parametrize("grid", [(6, 8), (3, 4), (5, 7), (1, 1)])
    @pytest.mark.parametrize("seed", SEEDS)
    def test_equal_the_loop(self, seed: int, grid: tuple[int, int]) -> None:
        boxes = random_truth(seed)
        foreground, background = box_masks(boxes, grid)
        for image in range(3):
            expected = naive_fgd_masks(of_image(boxes, image), grid, SIZE)
            torch.testing.assert_close(foreground[image], expected[0])
            torch.testing.assert_close(background[image], expected[1])

    def test_by_hand(self) -> None:
        # On a grid of 8 pixels: columns 0 to 2 and rows 1 to 2, both ends included.
        foreground, background = box_masks(truth([[[3.0, 9.0, 12.0, 14.0]]], [[0]]), (6, 8))
        expected = torch.zeros(6, 8).double()
        expected[1:3, 0:3] = 1 / 6
        assert torch.equal(foreground[0], expected)
        torch.testing.assert_close(background[0], (expected == 0).double() / 42)

    def test_where_boxes_overlap_the_larger_value_stands(self) -> None:
        small, large = [8.0, 8.0, 15.0, 15.0], [0.0, 0.0, 60.0, 40.0]
        one, _ = box_masks(truth([[large, small]], [[0, 0]]), (6, 8))
        other, _ = box_masks(truth([[small]], [[0]]), (6, 8))
        assert torch.equal(one[0, 1:3, 1:3], other[0, 1:3, 1:3])

    def test_without_boxes_all_is_background(self) -> None:
        foreground, background = box_masks(truth([[]], [[]]), (6, 8))
        assert not foreground.any()
        torch.testing.assert_close(background, torch.full((1, 6, 8), 1 / 48, dtype=torch.double))


class TestQuality:
    def test_overlap_by_hand(self) -> None:
        boxes = torch.tensor([[[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [1, 1, 1, 1]]])
        found = overlap(Predictions(torch.zeros(1, 4, 1), boxes, torch.zeros(4, 2)), one_box())
        torch.testing.assert_close(found, torch.tensor([[[1.0, 1 / 3, 0.0, 0.0]]]))

    def test_nothing_overlaps_a_box_of_no_area(self) -> None:
        boxes = torch.tensor([[[5.0, 5.0, 5.0, 5.0]]])
        empty = GroundTruth.of([boxes[0]], [torch.zeros(1, dtype=torch.long)], SIZE)
        assert overlap(Predictions(torch.zeros(1, 1, 1), boxes, boxes[0, :, :2]), empty) == 0

    def test_scores_are_those_of_the_box_s_class(self) -> None:
        found = predictions(0)
        scores = scores_of_boxes(found, truth())
        for image, own in enumerate(LABELS):
            for box, label in enumerate(own):
                assert torch.equal(scores[image, box], found.scores[image, :, label])


def one_box() -> GroundTruth:
    return GroundTruth.of(
        [torch.tensor([[0.0, 0.0, 10.0, 10.0]])], [torch.zeros(1, dtype=torch.long)], SIZE
    )


def weights(found: Predictions, boxes: GroundTruth, positions: int, xi: float = 0.8) -> Tensor:
    quality = scores_of_boxes(found, boxes) ** (1 - xi) * overlap(found, boxes) ** xi
    return gaussian_weights(quality, found.points, boxes, positions)


class TestGaussianWeights:
    @pytest.mark.parametrize("positions", [1, 2, 9, 30, 1000])
    @pytest.mark.parametrize("seed", SEEDS)
    def test_equal_the_loop(self, seed: int, positions: int) -> None:
        found, boxes = predictions(seed), random_truth(seed)
        result = weights(found, boxes, positions)
        for image in range(3):
            expected = naive_pgd_weights(
                found.scores[image], found.boxes[image], found.points, of_image(boxes, image),
                0.8, positions, NOISE_VARIANCE,
            )  # fmt: skip
            torch.testing.assert_close(result[image], expected, rtol=1e-9, atol=1e-12)

    def test_drawn_noise_gives_the_same_on_a_grid(self) -> None:
        """As the paper draws it, ±0.05 pixel on every coordinate, before the fit."""
        torch.manual_seed(0)
        y, x = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing="ij")
        points = torch.stack([x.flatten(), y.flatten()], 1).double() * 8 + 4
        box = torch.tensor([[0.0, 0.0, 50.0, 50.0]]).double()
        boxes = GroundTruth.of([box], [torch.zeros(1, dtype=torch.long)], SIZE)
        ours = gaussian_weights(torch.ones(1, 1, 30).double(), points, boxes, 30)[0]
        total = torch.zeros(30).double()
        for _ in range(200):
            noisy = points + (torch.rand(30, 2) - 0.5) * 0.1
            centred = noisy - noisy.mean(0)
            inverse = (centred.T @ centred / 30).inverse()
            total += torch.exp(-(centred @ inverse * centred).sum(1) / 2)
        torch.testing.assert_close(total / 200, ours, rtol=0.01, atol=0)

    @pytest.mark.parametrize("step", [(8.0, 0.0), (0.0, 8.0), (8.0, 8.0), (512.0, 512.0)])
    def test_positions_in_a_row_are_finite_in_single_precision(
        self, step: tuple[float, float]
    ) -> None:
        points = 500 + torch.arange(5.0)[:, None] * torch.tensor(step)
        box = torch.tensor([[0.0, 0.0, 5000.0, 5000.0]])
        boxes = GroundTruth.of([box], [torch.zeros(1, dtype=torch.long)], (5000, 5000))
        result = gaussian_weights(torch.rand(1, 1, 5) + 0.1, points, boxes, 5)
        # Standard deviation √2 steps along the row: the middle counts fully, the ends exp(−1).
        expected = torch.exp(-torch.tensor([[4.0, 1, 0, 1, 4]]) / 4)
        torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-3)

    def test_positions_outside_the_box_are_dropped(self) -> None:
        points = torch.tensor([[5.0, 5.0], [6.0, 5.0], [50.0, 5.0], [10.0, 5.0]])
        result = gaussian_weights(torch.ones(1, 1, 4), points, one_box(), 4)
        assert (result[0, :2] > 0).all()
        assert result[0, 2:].tolist() == [0.0, 0.0]  # outside, and on the edge

    def test_positions_of_no_quality_change_nothing(self) -> None:
        points = torch.tensor([[5.0, 5.0], [6.0, 4.0], [3.0, 8.0], [9.0, 9.0]])
        quality = torch.tensor([[[0.5, 0.4, 0.0, 0.0]]])
        few = gaussian_weights(quality, points, one_box(), 4)
        assert torch.equal(few[:, :2], gaussian_weights(quality[..., :2], points[:2], one_box(), 2))
        assert few[0, 2:].tolist() == [0.0, 0.0]


def test_background_equals_the_loop() -> None:
    found = predictions(0)
    result = outside_boxes(truth(), found.points)
    for image, own in enumerate(TRUTH):
        assert torch.equal(result[image], naive_pgd_background(found.points, own))
