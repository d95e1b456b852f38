"""The module that Python runs under the name ``mmcv._ext``: every op that ``mmcv.ops`` asks for.

``mmcv.ops`` checks at import that each of some hundred functions exists. The ops that the detectors
of MMDetection's main families need are here; any other name gives a function that fails when
called.
"""

from collections.abc import Callable
from typing import NoReturn

import torch
import torchvision

from mtpd.errors import UserError
from mtpd.mmcv_ext.deform_attn import ms_deform_attn_backward, ms_deform_attn_forward
from mtpd.mmcv_ext.deform_conv import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from mtpd.mmcv_ext.focal_loss import (
    sigmoid_focal_loss_backward,
    sigmoid_focal_loss_forward,
    softmax_focal_loss_backward,
    softmax_focal_loss_forward,
)
from mtpd.mmcv_ext.nms import nms, nms_match, softnms
from mtpd.mmcv_ext.roi_align import roi_align_backward, roi_align_forward

__all__ = [
    "deform_conv_backward_input",
    "deform_conv_backward_parameters",
    "deform_conv_forward",
    "get_compiler_version",
    "get_compiling_cuda_version",
    "modulated_deform_conv_backward",
    "modulated_deform_conv_forward",
    "ms_deform_attn_backward",
    "ms_deform_attn_forward",
    "nms",
    "nms_match",
    "roi_align_backward",
    "roi_align_forward",
    "sigmoid_focal_loss_backward",
    "sigmoid_focal_loss_forward",
    "softmax_focal_loss_backward",
    "softmax_focal_loss_forward",
    "softnms",
]


def get_compiler_version() -> str:
    """What stands for the compiler in MMCV's report of the environment."""
    return f"none (ops of torchvision {torchvision.__version__})"


def get_compiling_cuda_version() -> str:
    """The CUDA version that torch, and so torchvision's ops, were built for."""
    return torch.version.cuda or "not available"


def __getattr__(name: str) -> Callable[..., NoReturn]:
    """A function in the place of an op that we do not supply."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def not_supplied(*_args: object, **_kwargs: object) -> NoReturn:
        raise UserError(
            f"mmcv.ops: {name}",
            "the detector calls an op that only the compiled mmcv has",
            "install a compiled mmcv 2.1 in the place of mmcv-lite "
            "(https://mmcv.readthedocs.io, 'Build MMCV from source'), or choose another detector",
        )

    return not_supplied
