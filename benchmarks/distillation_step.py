"""What a distillation step costs beside a plain student step and a teacher forward pass.

All run in one process, one after the other in turn, so that whatever else the machine does falls on
all of them alike. Of the medians: ``ratio`` is distillation / (student + teacher), ``times`` is
distillation / student, and ``times, kept`` the same where the teacher's maps are kept on the disk
and all there.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from benchmarks.batches import random_batch
from mtpd.detectors.sources import config_file

ROUNDS = 15
IMAGES, SIZE = 16, 128

PAIRS = {
    "demo, feature matching": (
        "config/detectors/retinanet_r18_w16.py",
        "config/detectors/retinanet_r34_w32.py",
        {"type": "feature_matching"},
    ),
    "demo, CWD": (
        "config/detectors/retinanet_r18_w16.py",
        "config/detectors/retinanet_r34_w32.py",
        {"type": "cwd"},
    ),
    "demo, MGD": (
        "config/detectors/retinanet_r18_w16.py",
        "config/detectors/retinanet_r34_w32.py",
        {"type": "mgd"},
    ),
    "demo, FGD": (
        "config/detectors/retinanet_r18_w16.py",
        "config/detectors/retinanet_r34_w32.py",
        {"type": "fgd"},
    ),
    "GFL on shapes, PGD": (
        "config/detectors/gfl_r18_w16.py",
        "config/detectors/gfl_r34_w32.py",
        {"type": "pgd"},
    ),
    "RetinaNet R18 from R50, CWD": (
        "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py",
        "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py",
        {"type": "cwd"},
    ),
}


def measure() -> list[dict[str, Any]]:
    """One row for each pair: milliseconds of each kind of step, and the ratio."""
    torch.set_num_threads(1)
    init_default_scope("mmdet")
    return [{"pair": name, **_measure(*pair)} for name, pair in PAIRS.items()]


def _measure(student: str, teacher: str, loss: dict[str, Any]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        return _measure_in(Path(folder), student, teacher, loss)


def _measure_in(folder: Path, student: str, teacher: str, loss: dict[str, Any]) -> dict[str, float]:
    import mtpd.distillation  # noqa: F401  registers the distiller

    torch.manual_seed(0)
    models = {
        name: Config.fromfile(config_file(c)).model
        for name, c in (("student", student), ("teacher", teacher))
    }
    described = {"type": "Distiller", **models, "losses": [loss]}
    distiller = MODELS.build(described)
    kept = MODELS.build({**described, "teacher_maps": _kept_maps(folder)})
    plain = MODELS.build(models["student"])
    plain.load_state_dict(distiller.student.state_dict())
    steps = {
        "student": _training_step(plain),
        "teacher": lambda: _teacher_pass(distiller),
        "distillation": _training_step(distiller),
        "kept": _training_step(kept),
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(ROUNDS + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if round_:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
    medians = {f"{name}_ms": 1000 * statistics.median(values) for name, values in seconds.items()}
    ratio = medians["distillation_ms"] / (medians["student_ms"] + medians["teacher_ms"])
    times = {
        "times": medians["distillation_ms"] / medians["student_ms"],
        "times, kept": medians["kept_ms"] / medians["student_ms"],
    }
    ratios = {"ratio": ratio, **times}
    return {
        **{key: round(value, 1) for key, value in medians.items()},
        **{key: round(value, 3) for key, value in ratios.items()},
    }


def _kept_maps(folder: Path) -> dict[str, Any]:
    annotations = folder / "instances.json"
    annotations.write_text(json.dumps({"images": [{"id": number} for number in range(IMAGES)]}))
    return {
        "folder": str(folder / "maps"),
        "key": "benchmark",
        "annotations": str(annotations),
        "batch_size": IMAGES,
        "sides": 2,
        "limit_gb": 4,
    }


def _training_step(model: Any) -> Callable[[], Any]:
    optimiser = {"type": "SGD", "lr": 1e-4}
    wrapper = build_optim_wrapper(model, {"type": "OptimWrapper", "optimizer": optimiser})
    model.train()
    return lambda: model.train_step(random_batch(IMAGES, SIZE, SIZE), wrapper)


def _teacher_pass(distiller: Any) -> None:
    """What a step cannot do without: the batch on its way, and the teacher up to its neck."""
    data = distiller.data_preprocessor(random_batch(IMAGES, SIZE, SIZE), True)
    with torch.no_grad():
        distiller.teacher.extract_feat(data["inputs"])


if __name__ == "__main__":
    sys.stdout.write(f"{pd.DataFrame(measure()).to_markdown(index=False)}\n")
