"""RoIAlign (He et al., ICCV 2017) with the mean or the maximum over the samples of a bin.

torchvision has the mean. The maximum uses it too: pooled to one bin per sample, RoIAlign gives the
samples themselves, and each bin of the result takes the largest of its own.

Shapes: features (N, C, H, W); rois (R, 5) as (image index, x1, y1, x2, y2) in input pixels, which
``spatial_scale`` brings to feature pixels; output (R, C, aligned_height, aligned_width).
A bin has ``sampling_ratio`` samples in each direction, with 0 one per feature pixel. ``pool_mode``
is 0 for the maximum, 1 for the mean. ``aligned`` takes half a feature pixel off the coordinates,
which puts pixel centres where they belong.
"""

from collections.abc import Iterator

import torch
import torchvision  # noqa: F401  registers torch.ops.torchvision
from torch import Tensor

from mtpd.mmcv_ext.precision import at_least_float32

_MAX = 0


def roi_align_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``output``, and for the maximum ``argmax_y`` and ``argmax_x`` (each like output).

    The two hold row and column of the winning sample within its bin: small whole numbers, which
    half precision keeps exactly. A RoI without area has no samples and gives zero, one with a
    coordinate that is not finite gives no number.
    """
    features = at_least_float32(features)
    lost = ~rois.isfinite().all(1)
    rois = _harmless(rois).to(features.dtype)
    size = (aligned_height, aligned_width)
    if pool_mode != _MAX:
        output.copy_(_mean(features, rois, size, spatial_scale, sampling_ratio, aligned))
        output[lost] = torch.nan
        return
    output.zero_()
    for rows, grid in _sample_grids(rois, size, spatial_scale, sampling_ratio, aligned):
        fine = _fine_size(size, grid)
        samples = _mean(features, rois[rows], fine, spatial_scale, 1, aligned)
        largest, winner = _by_bin(samples, size, grid).max(dim=-1)
        output[rows] = largest.to(output.dtype)
        argmax_y[rows] = winner.div(grid[1], rounding_mode="floor").to(argmax_y.dtype)
        argmax_x[rows] = winner.remainder(grid[1]).to(argmax_x.dtype)
    output[lost] = torch.nan


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Add the gradient with respect to the features to ``grad_input`` (N, C, H, W)."""
    grad_output = at_least_float32(grad_output)
    rois = _harmless(rois).to(grad_output.dtype)
    size = (aligned_height, aligned_width)

    def spread(grad: Tensor, rois: Tensor, sampling_ratio: int) -> None:
        grad_input.add_(
            torch.ops.torchvision._roi_align_backward(
                grad.contiguous(),
                rois,
                spatial_scale,
                *grad.shape[2:],
                *grad_input.shape,
                sampling_ratio,
                aligned,
            )
        )

    if pool_mode != _MAX:
        spread(grad_output, rois, sampling_ratio)
        return
    for rows, grid in _sample_grids(rois, size, spatial_scale, sampling_ratio, aligned):
        grad = grad_output[rows]
        winner = (argmax_y[rows].long() * grid[1] + argmax_x[rows].long())[..., None]
        per_sample = grad.new_zeros(*grad.shape, grid[0] * grid[1])
        per_sample.scatter_(-1, winner, grad[..., None])
        spread(_by_position(per_sample, size, grid), rois[rows], 1)


def _harmless(rois: Tensor) -> Tensor:
    """RoIs with zeros for what is not finite: torchvision's CPU kernel reads where they point."""
    return rois.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _mean(
    features: Tensor,
    rois: Tensor,
    size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    return torch.ops.torchvision.roi_align(
        features, rois, spatial_scale, *size, sampling_ratio, aligned
    )


def _sample_grids(
    rois: Tensor, size: tuple[int, int], spatial_scale: float, sampling_ratio: int, aligned: bool
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """The RoIs by the samples in a bin of theirs: (R,) mask, (rows, columns); none without area."""
    if sampling_ratio > 0:
        yield rois.new_ones(len(rois), dtype=torch.bool), (sampling_ratio, sampling_ratio)
        return
    extents = (rois[:, [4, 3]] - rois[:, [2, 1]]) * spatial_scale
    if not aligned:
        extents = extents.clamp(min=1)
    grids = (extents / extents.new_tensor(size)).ceil().long()
    for grid in grids[(grids > 0).all(dim=1)].unique(dim=0):
        rows, columns = grid.tolist()
        yield (grids == grid).all(dim=1), (rows, columns)


def _fine_size(size: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an output that has one bin per sample."""
    return size[0] * grid[0], size[1] * grid[1]


def _by_bin(samples: Tensor, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """(R, C, bins * samples, bins * samples) as (R, C, bins, bins, samples of the bin)."""
    split = samples.unflatten(3, (size[1], grid[1])).unflatten(2, (size[0], grid[0]))
    return split.transpose(3, 4).flatten(4)


def _by_position(samples: Tensor, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """The inverse of :func:`_by_bin`."""
    fine_height, fine_width = _fine_size(size, grid)
    split = samples.unflatten(4, grid).transpose(3, 4)
    return split.reshape(*samples.shape[:2], fine_height, fine_width)
