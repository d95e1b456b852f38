"""What one image costs a detector: multiply-accumulates, and time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.analysis import FlopAnalyzer

from mtpd.detectors.feature_maps import evaluating

logger = logging.getLogger(__name__)

TRACED_PROPOSALS = 100
"""Regions for which a two-stage detector's heads are traced; MMDetection counts as many masks."""

WARM_UP = 0.2
"""Time before a measurement, as a part of its own, for caches and clocks to settle."""

FEWEST_STEPS, MOST_STEPS = 5, 200


@dataclass(frozen=True)
class Complexity:
    """Multiply-accumulates of one forward pass, and the padded image (width, height) it is for."""

    flops: int
    image_size: tuple[int, int]


@dataclass(frozen=True)
class Latency:
    """Milliseconds from an image in memory to its detections.

    Attributes:
        median: Of all steps.
        quartiles: First and third.
        images: Number of steps, of one image each.
        device: Name of the GPU, or the number of CPU threads.
    """

    median: float
    quartiles: tuple[float, float]
    images: int
    device: str


def count_flops(model: Any, image_size: tuple[int, int]) -> Complexity | None:
    """Multiply-accumulates of ``model`` on one blank image, counted by MMEngine on its trace.

    Counted are convolutions (deformable ones as ordinary ones of their shape), matrix products,
    normalisations and interpolations in backbone, neck and heads; neither element-wise operations,
    nor RoIAlign, nor what makes boxes of the heads' outputs. So that the figure depends on the
    architecture alone, box heads behind an RPN are counted for as many proposals as it may give
    and mask heads for 100. An operation of another kind that is left out is logged.

    Args:
        model: An MMDetection detector.
        image_size: Width and height of the resized image, before padding.

    Returns:
        None, with the reason logged, where the detector cannot be traced.
    """
    try:
        return _counted(model, image_size)
    except Exception as error:  # detectors differ, and this figure is not worth an evaluation
        logger.warning("FLOPs are not counted (%s: %s)", type(error).__name__, error)
        return None


def measure_latency(model: Any, images: Sequence[dict[str, Any]], seconds: float) -> Latency:
    """Time test steps: normalisation, network, and what makes boxes and masks of its outputs.

    Reading and resizing are not part of it. A GPU is synchronised after every step.

    Args:
        model: An MMDetection detector, on the device to measure.
        images: Batches of one image each, taken in turn.
        seconds: How long to measure, in about; it takes longer where five steps do.
    """
    device = next(model.parameters()).device
    with evaluating(model):
        _step_times(model, images, device, WARM_UP * seconds, fewest=1)
        times = _step_times(model, images, device, seconds, fewest=FEWEST_STEPS)
    first, median, third = (float(value) for value in np.percentile(times, (25, 50, 75)))
    return Latency(median, (first, third), len(times), _name_of(device))


def _counted(model: Any, image_size: tuple[int, int]) -> Complexity:
    width, height = image_size
    size = {"img_shape": (height, width), "ori_shape": (height, width), "scale_factor": (1.0, 1.0)}
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    sample = DetDataSample(metainfo=size)
    batch = model.data_preprocessor({"inputs": [image], "data_samples": [sample]}, False)
    model.forward = partial(model.forward, data_samples=batch["data_samples"], mode="tensor")
    try:
        with evaluating(model), _few_proposals(model) as times:
            analysis = FlopAnalyzer(model, batch["inputs"])
            analysis.set_op_handle(**HANDLES)
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            total = analysis.total() + (times - 1) * analysis.by_module()["roi_head.bbox_head"]
            left_out = analysis.unsupported_ops()
    finally:
        del model.forward  # the class's own is there again
    for name, count in sorted(left_out.items()):
        if name not in UNCOUNTED and not (name.startswith("aten::") and "attention" not in name):
            logger.warning("FLOPs: %d times %s is not counted", count, name)
    padded_height, padded_width = batch["inputs"].shape[-2:]
    return Complexity(round(total), (padded_width, padded_height))


@contextmanager
def _few_proposals(model: Any) -> Iterator[float]:
    """Let an RPN give the same few proposals whatever its weights; yields how many times more
    it may give. What follows it costs in proportion to their number.
    """
    head = getattr(model, "rpn_head", None)
    own = getattr(head, "test_cfg", None)
    if head is None or own is None or not {"max_per_img", "nms"} <= own.keys():
        yield 1.0
        return
    few = min(TRACED_PROPOSALS, own.max_per_img)
    head.test_cfg = deepcopy(own)
    head.test_cfg.update(max_per_img=few, min_bbox_size=-1)
    head.test_cfg.nms.iou_threshold = 1.0  # which no two boxes exceed
    try:
        yield own.max_per_img / few
    finally:
        head.test_cfg = own


def _deformable(weight: int) -> Callable[[Sequence[Any], Sequence[Any]], int]:
    """Counts a deformable convolution; ``weight`` is the place of its kernel (out, in, h, w)."""

    def count(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
        kernel, made = (value.type().sizes() for value in (inputs[weight], outputs[0]))
        return prod(made) * prod(kernel[1:])

    return count


HANDLES = {
    "prim::PythonOp.DeformConv2dFunction": _deformable(2),
    "prim::PythonOp.ModulatedDeformConv2dFunction": _deformable(3),
}
UNCOUNTED = ("prim::PythonOp.NMSop", "prim::PythonOp.RoIAlignFunction")


def _step_times(
    model: Any, images: Sequence[dict[str, Any]], device: torch.device, seconds: float, fewest: int
) -> list[float]:
    """Milliseconds of each step of one image."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < fewest or (time.perf_counter() < end and len(times) < MOST_STEPS):
        began = time.perf_counter()
        model.test_step(images[len(times) % len(images)])
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(1000 * (time.perf_counter() - began))
    return times


def _name_of(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{device.type}, {threads} thread{'s' * (threads > 1)}"
