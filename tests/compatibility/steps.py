"""Two training steps of a full-size student and its teacher on generated images."""

from __future__ import annotations

import resource
import time
from typing import Any

import numpy as np
import torch
from compatibility.cases import Case
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mtpd.data.shapes import draw_image
from mtpd.detectors.pretrained import without_pretrained
from mtpd.detectors.sources import config_file
from mtpd.errors import UserError

IMAGES, STEPS = 2, 2


def outcome(case: Case) -> dict[str, Any]:
    """What came of two steps from the ``inherit`` start.

    Either ``refused``, the one line that says why the pair cannot work, or what was measured:
    strides of the paired levels, both distillation losses, inherited tensors, seconds and peak
    memory. A loss that is not finite, a teacher that changed or a student that did not fail.
    """
    import mtpd.distillation  # noqa: F401  registers the distiller

    began = time.monotonic()
    torch.manual_seed(0)
    init_default_scope("mmdet")
    student, teacher = (
        without_pretrained(Config.fromfile(config_file(f"mmdet::{config}")).model)
        for config in case.configs
    )
    losses = [{"type": case.mechanism}]
    try:
        model = MODELS.build(
            {
                "type": "Distiller",
                "student": student,
                "teacher": teacher,
                "losses": losses,
                "start": "inherit",
            }
        )
    except UserError as error:
        return {"refused": str(error)}
    model.teacher.init_weights()
    # A runner does so before every step, for augmentations by the number of the step.
    MessageHub.get_current_instance().update_info("iter", 0)
    batches = [_batch(step, case.size, hasattr(model.student, "roi_head")) for step in range(STEPS)]
    extra = _batch(STEPS, case.size, hasattr(model.student, "roi_head"))
    _calibrate(model.teacher, model.data_preprocessor(extra, True)["inputs"])
    model.init_weights()
    # So small a rate that random weights of full size do not run away in two steps.
    optimiser = {"type": "SGD", "lr": 1e-5}
    wrapper = build_optim_wrapper(
        model, {"type": "OptimWrapper", "optimizer": optimiser, "clip_grad": {"max_norm": 10}}
    )
    before = _trainable(model.student)
    frozen = {name: value.clone() for name, value in model.teacher.state_dict().items()}
    assert _reach(model, extra) > 0, "the distillation loss alone moves nothing"
    values = []
    for drawn in batches:
        model.train()
        logged = model.train_step(drawn, wrapper)
        assert all(bool(torch.isfinite(value).all()) for value in logged.values()), logged
        values.append(float(logged[model.loss_names[0]]))
    assert min(values) > 0
    moved = [name for name, value in _trainable(model.student).items() if value != before[name]]
    assert moved, "no parameter of the student has changed"
    for name, value in model.teacher.state_dict().items():
        assert torch.equal(value, frozen[name]), f"the teacher's {name} has changed"
    return {
        "strides": list(model.pair.strides),
        "losses": [float(f"{value:.4g}") for value in values],
        "moved": f"{len(moved)}/{len(before)}",
        "seconds": round(time.monotonic() - began, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def _calibrate(teacher: Any, images: torch.Tensor) -> None:
    """Give batch norms the statistics of ``images``: with none, deep random networks explode."""
    norms = [m for m in teacher.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        teacher.extract_feat(images)
    teacher.eval()


def _reach(model: Any, drawn: dict[str, Any]) -> float:
    """Largest gradient of the distillation loss alone at the student's parameters."""
    data = model.data_preprocessor(drawn, True)
    model.train()
    losses = model(data["inputs"], data["data_samples"], mode="loss")
    losses[model.loss_names[0]].backward()
    grads = [p.grad for p in model.student.parameters() if p.grad is not None]
    reach = max(float(grad.abs().max()) for grad in grads)
    model.zero_grad()
    return reach


def _batch(seed: int, size: int, has_masks: bool) -> dict[str, Any]:
    """Generated shapes with boxes, and masks if asked for, as a data loader gives them."""
    rng = np.random.default_rng(seed)
    inputs, samples = [], []
    while len(inputs) < IMAGES:
        picture, objects = draw_image(rng, size)
        if not objects:
            continue
        masks = np.stack([visible for _, visible in objects]).astype(np.uint8)
        rows = [np.flatnonzero(mask.any(1)) for mask in masks]
        columns = [np.flatnonzero(mask.any(0)) for mask in masks]
        boxes = [[x[0], y[0], x[-1] + 1, y[-1] + 1] for x, y in zip(columns, rows, strict=True)]
        shape = (size, size)
        sample = DetDataSample(
            metainfo={"img_shape": shape, "ori_shape": shape, "scale_factor": (1.0, 1.0)}
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor(np.array(boxes), dtype=torch.float32),
            labels=torch.tensor([category - 1 for category, _ in objects]),
        )
        if has_masks:
            sample.gt_instances.masks = BitmapMasks(masks, *shape)
        inputs.append(torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))))
        samples.append(sample)
    return {"inputs": inputs, "data_samples": samples}


def _trainable(model: torch.nn.Module) -> dict[str, tuple[float, float]]:
    """A fingerprint of every trainable parameter: its sum and its sum of magnitudes."""
    return {
        name: (float(p.detach().double().sum()), float(p.detach().double().abs().sum()))
        for name, p in model.named_parameters()
        if p.requires_grad
    }
