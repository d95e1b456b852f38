"""Deformable convolution, plain (Dai et al., ICCV 2017) and modulated (Zhu et al., CVPR 2019).

Shapes: x (N, C, H, W); weight (C_out, C / groups, kH, kW); offset (N, 2 * deform_groups * kH * kW,
H_out, W_out) in input pixels, y before x for each tap; mask (N, deform_groups * kH * kW, H_out,
W_out); bias (C_out,); output (N, C_out, H_out, W_out). A sample outside x is zero.

The names of the keyword arguments and the order of the positional ones are those by which
``mmcv.ops`` calls; its work buffers and ``im2col_step`` mean nothing to torchvision's kernels.
Those give all gradients at once, so mmcv's two calls for the plain convolution cost one too many.
"""

import torch
import torchvision  # noqa: F401  registers torch.ops.torchvision
from torch import Tensor

from mtpd.mmcv_ext.precision import at_least_float32


def deform_conv_forward(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    _columns: Tensor,
    _ones: Tensor,
    **layer: int,
) -> None:
    """Fill ``output`` with the plain deformable convolution of ``x``."""
    output.copy_(_convolve(_plain(x, weight, offset), _plain_layer(**layer), modulated=False))


def deform_conv_backward_input(
    x: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    _columns: Tensor,
    **layer: int,
) -> None:
    """Add the gradients with respect to ``x`` and ``offset`` to the tensors given for them."""
    of_x, _, of_offset, _, _ = _gradients(
        grad_output, _plain(x, weight, offset), _plain_layer(**layer), modulated=False
    )
    grad_input.add_(of_x)
    grad_offset.add_(of_offset)


def deform_conv_backward_parameters(
    x: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    _columns: Tensor,
    _ones: Tensor,
    *,
    scale: float,
    **layer: int,
) -> None:
    """Add ``scale`` times the gradient with respect to the weight to ``grad_weight``."""
    # The gradient of a weight does not depend on the weight, which mmcv does not hand over here.
    weight = torch.zeros_like(grad_weight)
    _, of_weight, _, _, _ = _gradients(
        grad_output, _plain(x, weight, offset), _plain_layer(**layer), modulated=False
    )
    grad_weight.add_(of_weight, alpha=scale)


def modulated_deform_conv_forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    _ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    _columns: Tensor,
    *,
    with_bias: bool,
    **layer: int,
) -> None:
    """Fill ``output`` with the modulated deformable convolution of ``x``."""
    bias = bias if with_bias else weight.new_zeros(len(weight))
    operands = (x, weight, offset, mask, bias)
    output.copy_(_convolve(operands, _modulated_layer(**layer), modulated=True))


def modulated_deform_conv_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    _ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    _columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    *,
    with_bias: bool,
    **layer: int,
) -> None:
    """Add the gradients with respect to the five operands to the tensors given for them."""
    bias = bias if with_bias else weight.new_zeros(len(weight))
    operands = (x, weight, offset, mask, bias)
    of_x, of_weight, of_offset, of_mask, of_bias = _gradients(
        grad_output, operands, _modulated_layer(**layer), modulated=True
    )
    grad_input.add_(of_x)
    grad_weight.add_(of_weight)
    grad_offset.add_(of_offset)
    grad_mask.add_(of_mask)
    if with_bias:
        grad_bias.add_(of_bias)


# x, weight, offset, mask, bias: the order of torchvision's kernels.
_Operands = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
# (stride, padding, dilation) as height, width each; groups; groups of the offset.
_Layer = tuple[int, int, int, int, int, int, int, int]


def _plain(x: Tensor, weight: Tensor, offset: Tensor) -> _Operands:
    """The operands of a convolution without mask and bias, which the kernels want all the same."""
    return x, weight, offset, x.new_zeros(len(x), 1), x.new_zeros(len(weight))


def _plain_layer(
    *,
    dH: int,
    dW: int,
    padH: int,
    padW: int,
    dilationH: int,
    dilationW: int,
    group: int,
    deformable_group: int,
    **_unused: int,
) -> _Layer:
    return dH, dW, padH, padW, dilationH, dilationW, group, deformable_group


def _modulated_layer(
    *,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    **_unused: int,
) -> _Layer:
    return stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group


def _convolve(operands: _Operands, layer: _Layer, *, modulated: bool) -> Tensor:
    lost = operands[2].isnan()
    operands = _harmless(operands, lost)
    output = torch.ops.torchvision.deform_conv2d(
        *map(at_least_float32, operands), *layer, modulated
    )
    # An output that is sampled nowhere is no number.
    return output.masked_fill(lost.any(1, keepdim=True), torch.nan)


def _gradients(
    grad_output: Tensor, operands: _Operands, layer: _Layer, *, modulated: bool
) -> _Operands:
    """The gradients with respect to the operands, in their order."""
    operands = _harmless(operands, operands[2].isnan())
    tensors = map(at_least_float32, (grad_output, *operands))
    return torch.ops.torchvision._deform_conv2d_backward(*tensors, *layer, modulated)


def _harmless(operands: _Operands, lost: Tensor) -> _Operands:
    """Offsets that are no number set to zero: torchvision's CPU kernel reads where they point."""
    x, weight, offset, mask, bias = operands
    return x, weight, offset.masked_fill(lost, 0), mask, bias
