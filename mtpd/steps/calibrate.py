"""Measures on this machine how long steps of detectors take, on random images.

Weights are random too: they do not change what a step costs. Reading images is not part of it, as
a training does that beside its steps where ``pipeline.workers`` lets it.
"""

from __future__ import annotations

import copy
import json
import logging
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

import mtpd.distillation  # noqa: F401  registers the distiller
from mtpd.data.dataset import Dataset
from mtpd.detectors.own_config import base_config, has_masks
from mtpd.detectors.pretrained import without_pretrained
from mtpd.errors import UserError
from mtpd.estimation.speed import Calibration, Kind, Measurement, Workload
from mtpd.settings.experiment import Detector

WARM_UP = 3
BOXES = 7
"""Of an image; COCO's mean is 7.3."""
ANY_CLASSES = Dataset(tuple(f"class {number}" for number in range(80)), False, {})

logger = logging.getLogger(__name__)


def calibrate(needed: Mapping[Workload, Sequence[Kind]], path: Path, steps: int) -> None:
    """Measure every kind of step of every workload, and add it to the calibration at ``path``.

    What is measured is written at once, so that a calibration that was cut short is not lost.

    Args:
        needed: As :func:`mtpd.estimation.estimate.workloads` gives it.
        path: Of the file.
        steps: Their median counts, after a few to warm up.

    Raises:
        UserError: A detector cannot be built, or does not fit into the memory.
    """
    init_default_scope("mmdet")
    calibration = Calibration.load(path)
    for number, (workload, kinds) in enumerate(needed.items(), start=1):
        if workload.device == "cpu":
            torch.set_num_threads(workload.threads)
        measured = _measure(workload, kinds, steps)
        calibration = calibration.updated([measured])
        calibration.save(path)
        shown = ", ".join(f"{kind} {value:.3g} s" for kind, value in measured.seconds.items())
        width, height = workload.image_size
        images = f"{workload.batch_size} x {width}x{height}"
        logger.info("%d of %d: %s, %s: %s", number, len(needed), workload.config, images, shown)


def _measure(workload: Workload, kinds: Sequence[Kind], steps: int) -> Measurement:
    config, options = workload.config, json.loads(workload.options)
    teacher = json.loads(workload.teacher) if workload.teacher else {}
    student = _model_config(config, options)
    batch = _batch(student, workload)
    model_config = student
    if teacher:
        other = _model_config(teacher["config"], teacher["options"])
        losses = teacher["losses"]
        model_config = {"type": "Distiller", "student": student, "teacher": other, "losses": losses}
    seconds: dict[Kind, float] = {}
    try:
        model = MODELS.build(model_config).to(workload.device)
        for kind in kinds:
            seconds[kind] = _median(_step(kind, model, workload.amp), batch, workload, steps)
    except torch.OutOfMemoryError as error:
        shape = f"{workload.batch_size} images of {workload.image_size[0]}x{workload.image_size[1]}"
        remedy = "lower training.batch_size or pipeline.size, or use a device with more memory"
        raise UserError(config, f"{shape} do not fit into the memory", remedy) from error
    return Measurement(
        config=config,
        options=options,
        teacher=teacher,
        image_size=workload.image_size,
        batch_size=workload.batch_size,
        amp=workload.amp,
        device=workload.device,
        threads=workload.threads,
        device_name=_device_name(workload),
        torch=torch.__version__,
        date=datetime.now(UTC).date().isoformat(),
        parameters=sum(p.numel() for p in getattr(model, "student", model).parameters()),
        seconds=seconds,
    )


def _model_config(config: str, options: dict[str, Any]) -> ConfigDict:
    detector = Detector(config=config, options=options)
    return without_pretrained(base_config(config, detector, ANY_CLASSES).model)


def _step(kind: Kind, model: Any, amp: bool) -> Callable[[dict[str, Any]], Any]:
    """One step of ``kind`` on a batch."""
    if kind == "evaluation":
        model.eval()
        return torch.no_grad()(model.test_step)
    if kind == "forward":
        return _forward(model.eval(), amp)
    wrapper = {
        "type": "AmpOptimWrapper" if amp else "OptimWrapper",
        "optimizer": {"type": "SGD", "lr": 1e-6, "momentum": 0.9},
    }
    optimiser = build_optim_wrapper(model, wrapper)
    model.train()
    return lambda batch: model.train_step(batch, optimiser)


def _forward(model: Any, amp: bool) -> Callable[[dict[str, Any]], Any]:
    """What a teacher does in a step of distillation: up to its neck."""

    @torch.no_grad()
    def step(batch: dict[str, Any]) -> Any:
        inputs = model.data_preprocessor(batch, True)["inputs"]
        with torch.autocast(inputs.device.type, enabled=amp):
            return model.extract_feat(inputs)

    return step


def _batch(model: ConfigDict, workload: Workload) -> dict[str, Any]:
    """Random images with boxes, and masks where ``model`` wants them, as a loader gives them."""
    width, height = workload.image_size
    batch: dict[str, Any] = demo_mm_inputs(
        batch_size=workload.batch_size,
        image_shapes=(3, height, width),
        num_items=[BOXES] * workload.batch_size,
        with_mask=has_masks(model),
        with_semantic="semantic_head" in model.get("roi_head", {}),
        sem_seg_output_strides=8,
        use_box_type=True,
    )
    for sample in batch["data_samples"]:
        # The clip at the border may leave nothing of a random box.
        sample.gt_instances = sample.gt_instances[sample.gt_instances.bboxes.areas > 1]
    return batch


def _median(
    step: Callable[[dict[str, Any]], Any], batch: dict[str, Any], workload: Workload, steps: int
) -> float:
    """Seconds of a step, once its device has done all of it."""
    seconds = []
    for _ in range(WARM_UP + steps):
        fresh = copy.deepcopy(batch)  # a step may change what it is given
        began = time.perf_counter()
        step(fresh)
        if workload.device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return float(f"{statistics.median(seconds[WARM_UP:]):.4g}")  # more digits are noise


def _device_name(workload: Workload) -> str:
    if workload.device == "cuda":
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    return f"CPU ({name}, threads: {workload.threads})"
