"""How fast models are, with PyTorch, ONNX Runtime and 8-bit integers, and what that costs in AP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch

from mtpd.data.inspection import Progress
from mtpd.detectors.found import Detector
from mtpd.detectors.handed_on import describe, load_onnx
from mtpd.detectors.inference import load_detector, read_image
from mtpd.detectors.quantised import CALIBRATION_IMAGES, quantise
from mtpd.errors import UserError
from mtpd.evaluation.speed_of_use import Job, Speed, measure
from mtpd.files import write_json
from mtpd.overview.models import Model
from mtpd.steps.context import Context
from mtpd.steps.detections import SplitData, check_classes, detect, figures, split_data
from mtpd.steps.export import export

logger = logging.getLogger(__name__)

Runtime = Literal["torch", "onnx", "int8"]
RUNTIMES: tuple[Runtime, ...] = ("torch", "onnx", "int8")

ALLOWED_DROP = 0.005
"""Of box AP (as a fraction): integers that lose no more hold it."""

TIMED_IMAGES = 16


@dataclass(frozen=True)
class Row:
    """One model with one runtime.

    Attributes:
        model: Its name.
        runtime: What computes it.
        ap: Box AP on the images, as a fraction.
        speed: What was measured.
        file_mb: Size of its file.
        holds_ap: Of integers: whether they lose no more than is allowed, against the model's
            first runtime.
    """

    model: str
    runtime: Runtime
    ap: float | None
    speed: Speed
    file_mb: float
    holds_ap: bool | None = None


@dataclass(frozen=True)
class Settings:
    """How it is measured.

    Attributes:
        runtimes: Which.
        device: Of PyTorch and ONNX Runtime; integers are measured on the CPU.
        batch: Images that are taken together for the throughput.
        seconds: Of each measurement.
        images: Of the split, for AP: the first so many; None: all.
        split: Name of the split; None: the one of the results table.
    """

    runtimes: tuple[Runtime, ...]
    device: str
    batch: int
    seconds: float
    images: int | None
    split: str | None


def benchmark(
    models: Sequence[Model],
    experiment: str,
    results: Path,
    settings: Settings,
    keep: Path | None,
    progress: Callable[[str], Progress],
) -> tuple[list[Row], SplitData]:
    """Measure models on the data of an experiment.

    Args:
        models: The models.
        experiment: Whose data.
        results: Folder of all results.
        settings: How it is measured.
        keep: Folder for the ONNX files and ``benchmark.json``; None: nothing is kept.
        progress: Told of the images of each evaluation.

    Raises:
        UserError: A model is for other classes, or the data are not prepared.
    """
    context = Context.open(experiment, results)
    data = split_data(context.dataset, settings.split).first(settings.images)
    calibration = split_data(context.dataset, "train").first(CALIBRATION_IMAGES)
    rows: list[Row] = []
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        for model in models:
            rows += _rows(model, data, calibration, settings, folder, progress)
        if keep is not None:
            content = {"split": data.name, "images": len(data.images), **_where(settings)}
            write_json(keep / "benchmark.json", content | {"rows": [asdict(row) for row in rows]})
    return rows, data


def _rows(
    model: Model,
    data: SplitData,
    calibration: SplitData,
    settings: Settings,
    folder: Path,
    progress: Callable[[str], Progress],
) -> list[Row]:
    """The rows of one model; what it cannot be exported as is named and left out."""
    rows: list[Row] = []
    for runtime, weights, config in _files(model, calibration, settings, folder):
        device = "cpu" if runtime == "int8" else settings.device
        detector: Detector
        if config is None:
            detector = load_onnx(weights, device)
        else:
            detector = load_detector(weights, config, device)
        check_classes(model, detector, data)
        counted = progress(f"{model.name}, {runtime}")
        found = detect(detector, data, ["bbox"], settings.batch, counted)
        ap = figures(data, found)["bbox"].figures["bbox_mAP"]
        threads = torch.get_num_threads()
        job = Job(weights, config, device, settings.batch, settings.seconds, threads)
        speed = measure(job, _images(data, TIMED_IMAGES))
        holds = None
        if runtime == "int8" and rows and ap is not None and rows[0].ap is not None:
            holds = ap >= rows[0].ap - ALLOWED_DROP
        size = weights.stat().st_size / 1e6
        rows.append(Row(model.name, runtime, ap, speed, size, holds))
    return rows


def _files(
    model: Model, calibration: SplitData, settings: Settings, folder: Path
) -> list[tuple[Runtime, Path, Path | None]]:
    """The runtimes of a model that can be had, with weights and config of each."""
    found: list[tuple[Runtime, Path, Path | None]] = []
    if model.config is not None and "torch" in settings.runtimes:
        found.append(("torch", model.weights, model.config))
    if not {"onnx", "int8"} & set(settings.runtimes):
        return found
    graph = model.weights
    try:
        if model.config is not None:
            graph = folder / f"{model.file_name}.onnx"
            images = [str(calibration.folder / own["file_name"]) for own in calibration.images[:4]]
            export(model, graph, "onnx", sources=images)
        if "onnx" in settings.runtimes:
            found.append(("onnx", graph, None))
        if "int8" in settings.runtimes:
            integers = folder / f"{model.file_name}.int8.onnx"
            whole = load_onnx(graph, "cpu")
            quantise(graph, integers, whole, _images(calibration, CALIBRATION_IMAGES))
            write_json(describe(integers), whole.description.model_dump(mode="json"))
            found.append(("int8", integers, None))
    except UserError as error:
        logger.warning("left out: %s", error)
    return found


def _images(data: SplitData, number: int) -> list[np.ndarray]:
    return [read_image(data.folder / own["file_name"]) for own in data.images[:number]]


def _where(settings: Settings) -> dict[str, Any]:
    return {
        "device": settings.device,
        "threads": torch.get_num_threads(),
        "batch": settings.batch,
        "torch": torch.__version__,
    }
