"""Multi-scale deformable attention (Zhu et al., ICLR 2021).

``mmcv.ops`` has it in plain PyTorch for the CPU; that definition serves every device here.

Shapes: value (N, keys, heads, channels); spatial_shapes (levels, 2) as (height, width);
sampling_locations (N, queries, heads, levels, points, 2) as (x, y) in 0..1; attention_weights
(N, queries, heads, levels, points); output (N, queries, heads * channels). The keys of the levels
follow one another in the order of spatial_shapes, so the starts that mmcv passes say nothing new.
"""

import torch
from torch import Tensor

from mtpd.mmcv_ext.precision import at_least_float32


def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    _level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    **_unused: int,
) -> Tensor:
    """The attended values (N, queries, heads * channels)."""
    output = _attend(spatial_shapes, value, sampling_locations, attention_weights)
    return output.to(value.dtype)


def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    _level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_locations: Tensor,
    grad_attention_weights: Tensor,
    **_unused: int,
) -> None:
    """Add the gradients to the three tensors given for them."""
    operands = [
        at_least_float32(tensor.detach()).requires_grad_()
        for tensor in (value, sampling_locations, attention_weights)
    ]
    with torch.enable_grad():
        output = _attend(spatial_shapes, *operands)
    gradients = torch.autograd.grad(output, operands, at_least_float32(grad_output))
    for total, gradient in zip(
        (grad_value, grad_sampling_locations, grad_attention_weights), gradients, strict=True
    ):
        total.add_(gradient)


def _attend(spatial_shapes: Tensor, *operands: Tensor) -> Tensor:
    # mmcv.ops imports mmcv._ext, and so this module, before it is complete.
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    value, sampling_locations, attention_weights = map(at_least_float32, operands)
    # A list of Python numbers spares a GPU one transfer per use of a shape.
    shapes = spatial_shapes.tolist()
    return multi_scale_deformable_attn_pytorch(value, shapes, sampling_locations, attention_weights)
