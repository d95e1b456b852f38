"""Multi-scale deformable attention against loops, and its gradients."""

import math

import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

BATCH, QUERIES, HEADS, CHANNELS, POINTS = 2, 3, 2, 2, 2
SHAPES = [(4, 5), (2, 3)]
STARTS = [0, 20]


def operands(device, dtype=torch.float64):
    """value, spatial shapes, starts, locations (some outside the image), attention weights."""
    value = torch.randn(BATCH, 26, HEADS, CHANNELS, dtype=torch.float64)
    locations = torch.rand(BATCH, QUERIES, HEADS, 2, POINTS, 2, dtype=torch.float64) * 1.4 - 0.2
    weights = torch.rand(BATCH, QUERIES, HEADS, 2, POINTS, dtype=torch.float64)
    value, locations, weights = (t.to(device, dtype) for t in (value, locations, weights))
    shapes = torch.tensor(SHAPES, device=device)
    starts = torch.tensor(STARTS, device=device)
    return value, shapes, starts, locations, weights


def sample(value, image, head, channel, level, x, y):
    """Bilinear value of one level at (x, y) in 0..1, zero outside, pixel centres at halves."""
    height, width = SHAPES[level]
    row, column = y * height - 0.5, x * width - 0.5
    top, left = math.floor(row), math.floor(column)
    total = 0.0
    for i in (top, top + 1):
        for j in (left, left + 1):
            if 0 <= i < height and 0 <= j < width:
                share = (1 - abs(row - i)) * (1 - abs(column - j))
                total += share * float(value[image, STARTS[level] + i * width + j, head, channel])
    return total


def naive_attention(value, locations, weights):
    output = value.new_zeros(BATCH, QUERIES, HEADS, CHANNELS)
    for index in torch.cartesian_prod(*map(torch.arange, output.shape)):
        image, query, head, channel = index.tolist()
        for level in range(2):
            for point in range(POINTS):
                x, y = locations[image, query, head, level, point].tolist()
                output[image, query, head, channel] += weights[
                    image, query, head, level, point
                ] * sample(value, image, head, channel, level, x, y)
    return output.flatten(2)


def test_values(device):
    value, shapes, starts, locations, weights = operands(device)
    output = MultiScaleDeformableAttnFunction.apply(value, shapes, starts, locations, weights, 64)
    expected = naive_attention(value.cpu(), locations.cpu(), weights.cpu())
    torch.testing.assert_close(output.cpu(), expected)


def test_gradients(device):
    value, shapes, starts, locations, weights = operands(device)
    inputs = [tensor.requires_grad_() for tensor in (value, locations, weights)]
    assert torch.autograd.gradcheck(
        lambda v, xy, w: MultiScaleDeformableAttnFunction.apply(v, shapes, starts, xy, w, 64),
        inputs,
        nondet_tol=1e-9,
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(device, dtype):
    value, shapes, starts, locations, weights = operands(device, dtype)
    value.requires_grad_()
    output = MultiScaleDeformableAttnFunction.apply(value, shapes, starts, locations, weights, 64)
    assert output.dtype == dtype
    expected = naive_attention(*(t.detach().double().cpu() for t in (value, locations, weights)))
    torch.testing.assert_close(output.detach().cpu(), expected.to(dtype))
    output.sum().backward()
    assert value.grad.dtype == dtype
    assert value.grad.any()


def test_the_layer_of_mmcv(device):
    value, shapes, starts, _, _ = operands(device, torch.float32)
    layer = MultiScaleDeformableAttention(4, HEADS, 2, POINTS, dropout=0.0, batch_first=True)
    layer = layer.to(device)
    query = torch.randn(BATCH, QUERIES, 4, device=device)
    output = layer(
        query,
        value=value.flatten(2),
        reference_points=torch.rand(BATCH, QUERIES, 2, 2, device=device),
        spatial_shapes=shapes,
        level_start_index=starts,
    )
    output.square().sum().backward()
    assert output.shape == query.shape
    assert layer.sampling_offsets.weight.grad.any()
