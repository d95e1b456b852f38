"""How fast a detector is in use, and how much memory it takes: measured in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtpd.detectors.handed_on import OnnxDetector, load_onnx, on_canvas
from mtpd.detectors.inference import TorchDetector, load_detector

FEWEST, MOST = 5, 500
WARM_UP = 3


@dataclass(frozen=True)
class Job:
    """What is measured.

    Attributes:
        weights: Checkpoint or ONNX file.
        config: Of the checkpoint; None for ONNX.
        device: As torch calls it.
        batch: Images that are taken together for the throughput.
        seconds: How long either is measured, in about.
        threads: Of the CPU.
    """

    weights: Path
    config: Path | None
    device: str
    batch: int
    seconds: float
    threads: int


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
        latency_ms: Median time of one image, from its resized pixels in memory to its boxes.
        latency_quartiles_ms: First and third quartile.
        images_per_second: Of batches.
        memory_mb: Peak of what loading and running it takes besides what the programs themselves
            take; on a GPU, of its memory. None: this system does not tell.
    """

    latency_ms: float
    latency_quartiles_ms: tuple[float, float]
    images_per_second: float
    memory_mb: float | None


def measure(job: Job, images: Sequence[np.ndarray]) -> Speed:
    """Measure in a new process, so that nothing that ran before counts.

    Args:
        job: What to measure.
        images: RGB images, taken in turn.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measured, job, list(images)).result()


def _measured(job: Job, images: list[np.ndarray]) -> Speed:
    torch.set_num_threads(job.threads)
    before = _resident()
    _forget_peak()
    detector: Any
    if job.config is None:
        detector = load_onnx(job.weights, job.device)
    else:
        detector = load_detector(job.weights, job.config, job.device)
    single = _timed(_step(detector, images, 1), job.seconds)
    batches = _timed(_step(detector, images, job.batch), job.seconds)
    if job.config is not None and detector.device.type == "cuda":
        memory: float | None = torch.cuda.max_memory_allocated() / 1e6
    else:
        peak = _peak()
        memory = None if peak is None or before is None else (peak - before) / 1e6
    first, median, third = (float(value) for value in np.percentile(single, (25, 50, 75)))
    rate = 1000 * job.batch / float(np.median(batches))
    return Speed(median, (first, third), rate, memory)


def _step(
    detector: TorchDetector | OnnxDetector, images: Sequence[np.ndarray], batch: int
) -> Callable[[int], None]:
    """What takes the ``i``-th batch of resized images; images of one size come together."""
    chosen = [[images[(start + i) % len(images)] for i in range(batch)] for start in range(8)]
    if isinstance(detector, OnnxDetector):
        inputs = []
        for own in chosen:
            resized = [detector.resized(image) for image in own]
            sides = [detector.description.canvas_for(image) for image in resized]
            canvas = max(side[0] for side in sides), max(side[1] for side in sides)
            inputs.append(on_canvas(resized, canvas))

        def run(i: int) -> None:
            pixels, sizes = inputs[i % len(inputs)]
            detector.session.run(None, {"images": pixels, "sizes": sizes})

        return run
    prepared = []
    for own in chosen:
        items = [detector.prepared(image) for image in own]
        prepared.append({key: [item[key] for item in items] for key in items[0]})

    def step(i: int) -> None:
        with torch.inference_mode():
            detector.model.test_step(prepared[i % len(prepared)])
        if detector.device.type == "cuda":
            torch.cuda.synchronize(detector.device)

    return step


def _timed(step: Callable[[int], None], seconds: float) -> list[float]:
    """Milliseconds of each step."""
    for i in range(WARM_UP):
        step(i)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < FEWEST or (time.perf_counter() < end and len(times) < MOST):
        began = time.perf_counter()
        step(len(times))
        times.append(1000 * (time.perf_counter() - began))
    return times


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _resident() -> int | None:
    return _status("VmRSS")


def _peak() -> int | None:
    return _status("VmHWM")


def _status(key: str) -> int | None:
    """Bytes that Linux says of this process; None elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{key}:")]
    return 1024 * int(found[0]) if found else None
