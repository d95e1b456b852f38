"""Deformable convolution against explicit sampling, and gradients against finite differences."""

import math
from typing import NamedTuple

import pytest
import torch
from mmcv.ops import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2d,
    ModulatedDeformConv2dPack,
    deform_conv2d,
    modulated_deform_conv2d,
)


class Layer(NamedTuple):
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    deform_groups: int = 1


LAYERS = [
    Layer(),
    Layer(stride=(2, 1), padding=(0, 2)),
    Layer(dilation=(2, 1), padding=(2, 1)),
    Layer(groups=2),
    Layer(deform_groups=2),
    Layer(kernel=(2, 3), stride=(2, 2), groups=2, deform_groups=4),
]
layers = pytest.mark.parametrize("layer", LAYERS, ids=str)


def operands(layer, batch=2, dtype=torch.float64):
    """x, offset, mask, weight, bias for 4 channels of 5 x 6 pixels to 4 channels.

    No offset comes near a whole pixel, where bilinear sampling has a kink.
    """
    taps = layer.kernel[0] * layer.kernel[1]
    size = [
        (extent + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for extent, kernel, stride, padding, dilation in zip((5, 6), *layer[:4], strict=True)
    ]
    x = torch.randn(batch, 4, 5, 6)
    offset = 0.2 + 0.6 * torch.rand(batch, 2 * layer.deform_groups * taps, *size)
    offset += torch.randint(-2, 2, offset.shape)
    mask = torch.rand(batch, layer.deform_groups * taps, *size)
    weight = torch.randn(4, 4 // layer.groups, *layer.kernel)
    bias = torch.randn(4)
    return tuple(tensor.to(dtype) for tensor in (x, offset, mask, weight, bias))


def pixel(plane, y, x):
    height, width = plane.shape
    return float(plane[y, x]) if 0 <= y < height and 0 <= x < width else 0.0


def bilinear(plane, y, x):
    """The value of a plane at (y, x) where everything outside the plane is zero."""
    top, left = math.floor(y), math.floor(x)
    down, over = y - top, x - left
    return (
        pixel(plane, top, left) * (1 - down) * (1 - over)
        + pixel(plane, top, left + 1) * (1 - down) * over
        + pixel(plane, top + 1, left) * down * (1 - over)
        + pixel(plane, top + 1, left + 1) * down * over
    )


def naive_deform_conv(x, offset, mask, weight, bias, layer):
    """One output value at a time, by the definition in the papers."""
    batch, channels = x.shape[:2]
    outputs, channels_per_group = weight.shape[:2]
    kernel_height, kernel_width = layer.kernel
    taps = kernel_height * kernel_width
    output = x.new_zeros(batch, outputs, *offset.shape[2:])
    for index in torch.cartesian_prod(*map(torch.arange, output.shape)):
        image, out, row, column = index.tolist()
        group = out // (outputs // layer.groups)
        total = float(bias[out])
        for channel in range(channels_per_group):
            source = group * channels_per_group + channel
            shift_group = source // (channels // layer.deform_groups)
            for tap in range(taps):
                i, j = divmod(tap, kernel_width)
                shift = offset[image, 2 * (shift_group * taps + tap) :, row, column]
                y = row * layer.stride[0] - layer.padding[0] + i * layer.dilation[0] + shift[0]
                z = column * layer.stride[1] - layer.padding[1] + j * layer.dilation[1] + shift[1]
                sample = bilinear(x[image, source], float(y), float(z))
                factor = mask[image, shift_group * taps + tap, row, column]
                total += float(weight[out, channel, i, j] * factor) * sample
        output[image, out, row, column] = total
    return output


@layers
def test_plain_values(device, layer):
    x, offset, mask, weight, bias = operands(layer)
    expected = naive_deform_conv(x, offset, torch.ones_like(mask), weight, 0 * bias, layer)
    inputs = (tensor.to(device) for tensor in (x, offset, weight))
    torch.testing.assert_close(deform_conv2d(*inputs, *layer[1:]).cpu(), expected)


@layers
def test_modulated_values(device, layer):
    tensors = operands(layer)
    expected = naive_deform_conv(*tensors, layer)
    inputs = (tensor.to(device) for tensor in tensors)
    torch.testing.assert_close(modulated_deform_conv2d(*inputs, *layer[1:]).cpu(), expected)


@layers
def test_plain_gradients(device, layer):
    x, offset, _, weight, _ = (t.to(device).requires_grad_() for t in operands(layer, batch=1))
    assert torch.autograd.gradcheck(
        lambda *tensors: deform_conv2d(*tensors, *layer[1:]), (x, offset, weight), nondet_tol=1e-9
    )


@layers
def test_modulated_gradients(device, layer):
    inputs = [t.to(device).requires_grad_() for t in operands(layer, batch=1)]
    assert torch.autograd.gradcheck(
        lambda *tensors: modulated_deform_conv2d(*tensors, *layer[1:]), inputs, nondet_tol=1e-9
    )


def test_modulated_gradients_without_bias(device):
    inputs = [t.to(device).requires_grad_() for t in operands(Layer(), batch=1)[:4]]
    assert torch.autograd.gradcheck(
        lambda *tensors: modulated_deform_conv2d(*tensors, None, 1, 1), inputs, nondet_tol=1e-9
    )


def test_a_large_batch_goes_through_in_steps(device):
    x, offset, _, weight, _ = (t.to(device).requires_grad_() for t in operands(Layer(), batch=6))
    whole = deform_conv2d(x, offset, weight, 1, 1)
    stepped = deform_conv2d(x, offset, weight, 1, 1, 1, 1, 1, False, 2)
    torch.testing.assert_close(stepped, whole)
    gradients = [
        torch.autograd.grad(y.square().sum(), (x, offset, weight)) for y in (whole, stepped)
    ]
    torch.testing.assert_close(*gradients)


def test_zero_offsets_give_an_ordinary_convolution(device):
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64, device=device)
    for pack, kwargs in ((DeformConv2dPack, {}), (ModulatedDeformConv2dPack, {"bias": True})):
        layer = pack(4, 8, 3, padding=1, groups=2, deform_groups=2, **kwargs).to(x)
        ordinary = torch.nn.functional.conv2d(
            x, layer.weight, getattr(layer, "bias", None), padding=1, groups=2
        )
        # A fresh modulated layer has the mask sigmoid(0) = 0.5 everywhere; its bias starts at 0.
        factor = 0.5 if pack is ModulatedDeformConv2dPack else 1.0
        torch.testing.assert_close(layer(x), factor * ordinary)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("modulated", [False, True])
def test_half_precision(device, dtype, modulated):
    x, offset, mask, weight, bias = (t.to(device) for t in operands(Layer(), dtype=dtype))
    narrow = [x, offset, mask, weight, bias] if modulated else [x, offset, weight]
    convolve = modulated_deform_conv2d if modulated else deform_conv2d
    narrow = [tensor.requires_grad_() for tensor in narrow]
    wide = [tensor.detach().float().requires_grad_() for tensor in narrow]
    outputs = [convolve(*tensors, 1, 1) for tensors in (narrow, wide)]
    assert outputs[0].dtype == dtype
    torch.testing.assert_close(outputs[0], outputs[1].to(dtype))
    for output in outputs:
        output.sum().backward()
    for half, full in zip(narrow, wide, strict=True):
        torch.testing.assert_close(half.grad, full.grad.to(dtype))


@pytest.mark.parametrize("pack", [DeformConv2dPack, ModulatedDeformConv2dPack])
def test_autocast(device, pack):
    layer = pack(4, 4, 3, padding=1).to(device)
    x = torch.randn(2, 4, 5, 6, device=device)
    reference = layer(x)
    with torch.autocast(device.type, torch.bfloat16):
        output = layer(x)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), reference, atol=0.1, rtol=0.1)
    output.float().square().sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad.dtype == torch.float32
        assert parameter.grad.isfinite().all()


def test_an_image_smaller_than_the_kernel(device):
    x = torch.randn(1, 4, 2, 2, device=device)
    offset = torch.zeros(1, 18, 2, 2, device=device)
    layer = DeformConv2d(4, 4, 3, padding=1).to(device)
    assert layer(x, offset).shape == (1, 4, 2, 2)


def test_modulated_with_a_frozen_weight(device):
    layer = ModulatedDeformConv2d(4, 4, 3, padding=1).to(device).requires_grad_(False)
    x, offset, mask, _, _ = (t.to(device).float().requires_grad_() for t in operands(Layer()))
    layer(x, offset, mask).sum().backward()
    assert all(tensor.grad.any() for tensor in (x, offset, mask))
    assert layer.weight.grad is None


@pytest.mark.parametrize("modulated", [False, True])
def test_offsets_that_are_no_number_give_no_number(device, modulated):
    """As when a training diverges: the loss must show it, and the process must live."""
    x, offset, mask, weight, _ = (tensor.to(device) for tensor in operands(Layer()))
    offset[0, 3, 2, 4] = torch.nan
    x.requires_grad_()
    if modulated:
        output = modulated_deform_conv2d(x, offset, mask, weight, None, 1, 1)
    else:
        output = deform_conv2d(x, offset, weight, 1, 1)
    lost = torch.zeros_like(output, dtype=torch.bool)
    lost[0, :, 2, 4] = True
    assert torch.equal(output.isnan(), lost)
    output.sum().backward()
