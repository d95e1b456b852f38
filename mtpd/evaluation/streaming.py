"""Streaming accuracy: what a detector's latency costs (Li, Wang, Ramanan, ECCV 2020).

A camera gives a frame every thirtieth of a second, whether the detector has finished or not. At the
time of each frame its truth is compared with the latest output that is finished by then, which
shows an earlier frame: the world has moved on meanwhile.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtpd.errors import UserError
from mtpd.evaluation.coco import coco_figures
from mtpd.evaluation.detections import json_list
from mtpd.files import read_json

FRAMES_PER_SECOND = 30.0
"""Of Argoverse-HD's camera."""

ON_TIME = 1e-6
"""Frames by which an output may be late: sums of latencies are rounded."""

FIGURES = ("mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l")


def streaming_figures(
    annotations: Path,
    detections: Path,
    shown: Path,
    latency_ms: float | Sequence[float],
    *,
    seed: int = 0,
) -> dict[str, float | None]:
    """Streaming accuracy of a detector of the given latency.

    Args:
        annotations: Instances JSON whose images have ``sid`` and ``fid``, the number of their
            sequence and of their frame in it.
        detections: Boxes found on every image, in COCO's results format.
        shown: Where the detections that are at hand at the time of each image are written, in the
            same format: their ordinary COCO evaluation gives these figures.
        latency_ms: Milliseconds from a frame to its detections; of several measured runtimes one
            is drawn for each frame.
        seed: Of the draws.

    Returns:
        ``sAP``, ``sAP_50``, ``sAP_75``, ``sAP_s``, ``sAP_m`` and ``sAP_l`` as fractions; None where
        there was nothing to find.

    Raises:
        UserError: A file cannot be read, or the images are no sequences.
    """
    sequences = _sequences(annotations)
    with json_list(shown) as add:
        found = read_json(detections, "run the evaluate step first")
        for detection in shown_detections(sequences, found, latency_ms, seed):
            add(detection)
        del found  # more than a million on Argoverse-HD
    figures = coco_figures(annotations, shown, "bbox").figures
    return {f"s{name.removeprefix('m')}": figures[f"bbox_{name}"] for name in FIGURES}


def shown_detections(
    sequences: Sequence[Sequence[int]],
    detections: Sequence[dict[str, Any]],
    latency_ms: float | Sequence[float],
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Detections that are at hand at the time of each image, with that image's id.

    Args:
        sequences: Image ids of every sequence, in the order of its frames.
        detections: In COCO's results format.
        latency_ms: As in :func:`streaming_figures`.
        seed: Of the draws.
    """
    of_image = defaultdict(list)
    for detection in detections:
        of_image[detection["image_id"]].append(detection)
    runtimes = np.atleast_1d(latency_ms) * FRAMES_PER_SECOND / 1000
    rng = np.random.default_rng(seed)
    for frames in sequences:
        outputs = latest_outputs(rng.choice(runtimes, len(frames)).tolist())
        for image_id, output in zip(frames, outputs, strict=True):
            if output is not None:
                for detection in of_image[frames[output]]:
                    yield detection | {"image_id": image_id}


def latest_outputs(latencies: Sequence[float]) -> list[int | None]:
    """Which frame the latest finished output shows, at the time of every frame of a sequence.

    Frame ``i`` arrives at the time ``i``. One processor starts on the newest frame whenever it is
    free, and waits for the next one if it has seen that already. An output that is finished at the
    very time of a frame counts for it; the processor then starts on that frame.

    Args:
        latencies: For every frame how long the detector takes on it, in frames.

    Returns:
        For every frame the number of the frame that was processed; None before the first output.
    """
    finished: list[float] = []
    processed: list[int] = []
    frame, free = 0, 0.0
    while frame < len(latencies):
        free = max(free, frame) + latencies[frame]
        finished.append(free)
        processed.append(frame)
        frame = max(frame + 1, math.floor(free + ON_TIME))
    counts = [bisect_right(finished, time + ON_TIME) for time in range(len(latencies))]
    return [processed[count - 1] if count else None for count in counts]


def _sequences(annotations: Path) -> list[list[int]]:
    """Image ids of every sequence, in the order of their frames."""
    frames: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for image in read_json(annotations)["images"]:
        if "sid" not in image or "fid" not in image:
            raise UserError(
                f"{annotations}: image {image['id']}",
                "belongs to no sequence, which streaming accuracy needs",
                "give 'sid' and 'fid', the number of its sequence and of its frame",
            )
        frames[image["sid"]].append((image["fid"], image["id"]))
    return [[image_id for _, image_id in sorted(found)] for found in frames.values()]
