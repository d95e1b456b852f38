"""RoIAlign against explicit bilinear sampling, and its gradients against finite differences."""

import math

import pytest
import torch
from mmcv.ops import RoIAlign

SCALE = 0.5
SIZE = (2, 3)


def bilinear(image, y, x):
    """The value of a plane at (y, x): edge pixels reach one pixel further out, then comes zero."""
    height, width = image.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, over = y - top, x - left
    above = image[top, left] * (1 - over) + image[top, right] * over
    below = image[bottom, left] * (1 - over) + image[bottom, right] * over
    return float(above * (1 - down) + below * down)


def bin_samples(plane, corners, row, column, sampling_ratio, aligned):
    """The samples of one bin of one RoI on one plane."""
    x1, y1, x2, y2 = (value * SCALE - (0.5 if aligned else 0) for value in corners)
    extents = [y2 - y1, x2 - x1]
    if not aligned:
        extents = [max(extent, 1.0) for extent in extents]
    bins = [extent / count for extent, count in zip(extents, SIZE, strict=True)]
    grid = [sampling_ratio or math.ceil(size) for size in bins]
    return [
        bilinear(
            plane,
            y1 + (row + (i + 0.5) / grid[0]) * bins[0],
            x1 + (column + (j + 0.5) / grid[1]) * bins[1],
        )
        for i in range(grid[0])
        for j in range(grid[1])
    ]


def naive_roi_align(features, rois, pool_mode, sampling_ratio, aligned):
    output = features.new_zeros(len(rois), features.shape[1], *SIZE)
    for index in torch.cartesian_prod(*map(torch.arange, output.shape)):
        roi, channel, row, column = index.tolist()
        image, *corners = rois[roi].tolist()
        plane = features[int(image), channel]
        samples = bin_samples(plane, corners, row, column, sampling_ratio, aligned)
        if samples:
            value = max(samples) if pool_mode == "max" else sum(samples) / len(samples)
            output[roi, channel, row, column] = value
    return output


def features_and_rois(dtype=torch.float64):
    """Two images of 6 x 7 feature pixels; RoIs inside, partly outside, outside, small, empty."""
    features = torch.randn(2, 3, 6, 7, dtype=dtype)
    rois = [
        [0, 1.0, 1.5, 9.3, 8.1],
        [1, -4.0, -3.0, 6.2, 20.0],
        [1, 8.0, 6.0, 25.0, 19.0],
        [0, 40.0, 40.0, 50.0, 60.0],
        [0, 3.0, 3.0, 3.7, 3.4],
        [1, 2.0, 5.0, 2.0, 9.0],
    ]
    return features, torch.tensor(rois, dtype=dtype)


modes = pytest.mark.parametrize("pool_mode", ["avg", "max"])
ratios = pytest.mark.parametrize("sampling_ratio", [0, 1, 2])
alignments = pytest.mark.parametrize("aligned", [True, False])


@modes
@ratios
@alignments
def test_values(device, pool_mode, sampling_ratio, aligned):
    features, rois = features_and_rois()
    pool = RoIAlign(SIZE, SCALE, sampling_ratio, pool_mode, aligned)
    expected = naive_roi_align(features, rois, pool_mode, sampling_ratio, aligned)
    torch.testing.assert_close(pool(features.to(device), rois.to(device)).cpu(), expected)


@modes
@ratios
@alignments
def test_gradients(device, pool_mode, sampling_ratio, aligned):
    features, rois = (tensor.to(device) for tensor in features_and_rois())
    pool = RoIAlign(SIZE, SCALE, sampling_ratio, pool_mode, aligned)
    features.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: pool(x, rois), features, nondet_tol=1e-9)


@modes
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(device, pool_mode, dtype):
    features, rois = features_and_rois(dtype)
    features = features.to(device).requires_grad_()
    pool = RoIAlign(SIZE, SCALE, 0, pool_mode)
    output = pool(features, rois.to(device))
    assert output.dtype == dtype
    expected = naive_roi_align(features.detach().cpu().double(), rois.double(), pool_mode, 0, True)
    torch.testing.assert_close(output.detach().cpu(), expected.to(dtype))
    output.sum().backward()
    wide = features.detach().float().requires_grad_()
    pool(wide, rois.float().to(device)).sum().backward()
    torch.testing.assert_close(features.grad, wide.grad.to(dtype))


@modes
def test_no_rois(device, pool_mode):
    features = torch.randn(2, 3, 6, 7, device=device, requires_grad=True)
    output = RoIAlign(SIZE, SCALE, 0, pool_mode)(features, torch.zeros(0, 5, device=device))
    assert output.shape == (0, 3, *SIZE)
    output.sum().backward()
    assert not features.grad.any()


@modes
@pytest.mark.parametrize("sampling_ratio", [0, 2])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_rois_that_are_not_finite_give_no_number(device, pool_mode, sampling_ratio, value):
    """As when a training diverges: the loss must show it, and the process must live."""
    features = torch.rand(1, 2, 6, 6, device=device, requires_grad=True)
    rois = torch.tensor([[0, 1, 1, 4, 5], [0, 1, value, 4, 5]], device=device)
    output = RoIAlign((2, 2), 1.0, sampling_ratio, pool_mode)(features, rois)
    assert output[0].isfinite().all()
    assert output[1].isnan().all()
    output.sum().backward()
