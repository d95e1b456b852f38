"""A distillation step at full size: RetinaNet R50 from RetinaNet X101-64x4d on images of 1333×800.

For every mechanism, beside a step of the student alone: a step as the authors' release makes it,
and ours with the teacher in float32 and in bfloat16. All run in one process, in turn, so that
whatever else the machine does falls on all alike; times are medians. ``memory`` is the peak of a
step on the GPU above what models and optimisers hold. On a CPU, where a step takes some seconds,
there are fewer by default, and no memory.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor

from benchmarks.batches import random_batch
from mtpd.detectors.feature_maps import NeckTap
from mtpd.detectors.sources import config_file
from mtpd.distillation.distiller import Distiller
from mtpd.distillation.features import Features, GroundTruth
from mtpd.distillation.heads import adapter_of
from mtpd.distillation.losses import build_loss
from mtpd.distillation.pairing import anatomy_of, pair

STUDENT = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"
TEACHER = "mmdet::retinanet/retinanet_x101-64x4d_fpn_1x_coco.py"
HEIGHT, WIDTH = 800, 1344
"""1333×800, padded as the detectors pad."""

MECHANISMS = ("feature_matching", "cwd", "mgd", "fgd", "pkd")


class AsReleased(BaseModel):
    """A step as the authors' release makes it: the teacher is a part of the model.

    It runs in the student's precision, and hooks on both necks catch the maps. The losses are ours,
    which are the release's in their figures.
    """

    def __init__(self, mechanism: str) -> None:
        super().__init__()
        self.student, self.teacher = (MODELS.build(_model(c)) for c in (STUDENT, TEACHER))
        self.teacher.requires_grad_(False)
        self.data_preprocessor = self.student.data_preprocessor
        own, others = (anatomy_of(d, adapter_of(d)) for d in (self.student, self.teacher))
        self.pair = pair(own, others, names=("student", "teacher"))
        self.loss = build_loss({"type": mechanism}, self.pair)
        self.taps = NeckTap(self.student), NeckTap(self.teacher)

    def forward(self, inputs: Tensor, data_samples: list[Any], mode: str = "loss") -> Any:
        """The student's losses and those of distillation."""
        assert mode == "loss"
        with torch.no_grad():
            self.teacher.eval()
            self.teacher.extract_feat(inputs)
        losses = dict(self.student(inputs, data_samples, mode="loss"))
        truth = GroundTruth.from_samples(data_samples, (inputs.shape[-2], inputs.shape[-1]))
        student, teacher = (
            Features([maps[level] for level in side.levels])
            for side, maps in zip(
                (self.pair.student, self.pair.teacher),
                (tap.take() for tap in self.taps),
                strict=True,
            )
        )
        losses["loss_distill"] = self.loss(student, teacher, truth)
        return losses


def measure(
    device: torch.device, mechanisms: list[str], batch_sizes: list[int], rounds: int
) -> Iterator[dict[str, Any]]:
    """A row for each mechanism, batch size and kind of step.

    Args:
        device: Where the steps run.
        mechanisms: Types of losses, each with its default settings.
        batch_sizes: Images of a step.
        rounds: Measured steps of a kind; one before them warms up.
    """
    init_default_scope("mmdet")
    for mechanism in mechanisms:
        for batch_size in batch_sizes:
            yield from _measure(device, mechanism, batch_size, rounds)


def _measure(
    device: torch.device, mechanism: str, batch_size: int, rounds: int
) -> Iterator[dict[str, Any]]:
    batch = random_batch(batch_size, HEIGHT, WIDTH)
    steps = {}
    for name, build in KINDS.items():
        torch.manual_seed(0)
        steps[name] = _step(build(mechanism).to(device), batch)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    memory: dict[str, float] = {}
    for round_ in range(rounds + 1):
        for name, step in steps.items():
            if device.type == "cuda":
                torch.cuda.synchronize(device)
                torch.cuda.reset_peak_memory_stats(device)
                held = torch.cuda.memory_allocated(device)
            began = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
                memory[name] = (torch.cuda.max_memory_allocated(device) - held) / 2**30
            if round_:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        yield {
            "mechanism": mechanism,
            "batch": batch_size,
            "step": name,
            "ms": round(1000 * median),
            "images/s": round(batch_size / median, 2),
            "of a student step": round(median / medians["student alone"], 2),
            "of the release's": round(median / medians["as released"], 2),
            "memory, GiB": round(memory[name], 1) if name in memory else "–",
        }


def _step(model: BaseModel, batch: dict[str, Any]) -> Callable[[], Any]:
    optimiser = {"type": "SGD", "lr": 1e-4, "momentum": 0.9, "weight_decay": 1e-4}
    wrapper = build_optim_wrapper(model, {"type": "OptimWrapper", "optimizer": optimiser})
    model.train()
    return lambda: model.train_step(batch, wrapper)


def _model(config: str) -> dict[str, Any]:
    model = Config.fromfile(config_file(config)).model
    model.backbone.init_cfg = None
    return dict(model)


def _distiller(mechanism: str, precision: str) -> Distiller:
    return Distiller(
        _model(STUDENT), _model(TEACHER), [{"type": mechanism}], teacher_precision=precision
    )


KINDS: dict[str, Callable[[str], BaseModel]] = {
    "student alone": lambda _: MODELS.build(_model(STUDENT)),
    "as released": AsReleased,
    "ours, fp32 teacher": lambda mechanism: _distiller(mechanism, "fp32"),
    "ours, bf16 teacher": lambda mechanism: _distiller(mechanism, "bf16"),
}


def main() -> None:
    """Print the table."""
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mechanisms", nargs="+", default=MECHANISMS if on_gpu else ["cwd"])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[2, 16] if on_gpu else [1])
    parser.add_argument("--rounds", type=int, default=10 if on_gpu else 1)
    given = parser.parse_args()
    device = torch.device("cuda" if on_gpu else "cpu")
    where = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    rows = measure(device, list(given.mechanisms), given.batch_sizes, given.rounds)
    sys.stdout.write(f"{where}\n\n{pd.DataFrame(rows).to_markdown(index=False)}\n")


if __name__ == "__main__":
    main()
