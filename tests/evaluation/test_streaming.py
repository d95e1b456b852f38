"""Streaming accuracy on sequences whose figures can be worked out by hand.

A box of 40x40 pixels that moves by 8 a frame is, one frame late, at an IoU of 32 / 48 = 2/3: it
passes four of the ten thresholds (0.50 to 0.65). Two frames late it is at 24 / 56, and passes none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtpd.errors import UserError
from mtpd.evaluation.coco import coco_figures
from mtpd.evaluation.streaming import latest_outputs, streaming_figures

FRAME = 1000 / 30
"""Milliseconds from one frame to the next."""

Box = list[float]


def moving(frames: int, step: float = 8) -> list[Box]:
    return [[10 + step * frame, 50, 40, 40] for frame in range(frames)]


class Recording:
    """Sequences of one object each, found by a perfect detector with equal scores."""

    def __init__(self, folder: Path, *sequences: list[Box]) -> None:
        self.annotations, self.detections = folder / "truth.json", folder / "found.json"
        self.shown = folder / "shown.json"
        # Frames of all sequences by turns, and backwards: only sid and fid tell what follows what.
        frames = [
            (fid, sid, box) for sid, boxes in enumerate(sequences) for fid, box in enumerate(boxes)
        ]
        frames.sort(reverse=True)
        truth: dict[str, Any] = {
            "images": [
                {"id": i, "sid": sid, "fid": fid, "file_name": "", "width": 400, "height": 400}
                for i, (fid, sid, _) in enumerate(frames)
            ],
            "annotations": [
                {
                    "id": i,
                    "image_id": i,
                    "category_id": 0,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
                for i, (_, _, box) in enumerate(frames)
            ],
            "categories": [{"id": 0, "name": "car"}],
        }
        self.annotations.write_text(json.dumps(truth))
        self.find(
            [
                {"image_id": i, "category_id": 0, "bbox": box, "score": 0.5}
                for i, (_, _, box) in enumerate(frames)
            ]
        )

    def find(self, detections: list[dict[str, Any]]) -> None:
        self.detections.write_text(json.dumps(detections))

    def figures(self, latency_ms: Any, seed: int = 0) -> dict[str, float | None]:
        return streaming_figures(
            self.annotations, self.detections, self.shown, latency_ms, seed=seed
        )


@pytest.mark.parametrize(
    ("latencies", "outputs"),
    [
        ([], []),
        ([0] * 4, [0, 1, 2, 3]),
        # Less than a frame: finished in time for the next one, for which it then waits.
        ([0.01] * 4, [None, 0, 1, 2]),
        ([0.99] * 4, [None, 0, 1, 2]),
        ([1] * 4, [None, 0, 1, 2]),
        # 0 until 1.5, 1 until 3, 3 until 4.5, 4 until 6: frames 2 and 5 are never looked at.
        ([1.5] * 7, [None, None, 0, 1, 1, 3, 4]),
        ([2] * 6, [None, None, 0, 0, 2, 2]),
        ([3] * 3, [None] * 3),
        ([100] * 4, [None] * 4),
        # 0 until 2.5, 2 until 2.75, then it waits for 3; the latency of frame 1 does not count.
        ([2.5, 100, 0.25, 0.5], [None, None, None, 2]),
    ],
)
def test_the_latest_output(latencies: list[float], outputs: list[int | None]) -> None:
    assert latest_outputs(latencies) == outputs


def test_rounded_sums_are_in_time() -> None:
    """Fifty times 1.02 is a little more than 51 in floating point."""
    assert sum([1.02] * 50) > 51
    assert latest_outputs([1.02] * 53)[50:] == [48, 49, 49]


def test_one_frame_late(tmp_path: Path) -> None:
    figures = Recording(tmp_path, moving(4)).figures(FRAME)
    # Three of four are found: 76 of the 101 recalls from 0 to 1.
    recalled = 76 / 101
    assert figures["sAP_50"] == pytest.approx(recalled)
    assert figures["sAP_75"] == 0
    assert figures["sAP"] == pytest.approx(recalled * 4 / 10)
    assert figures["sAP_m"] == figures["sAP"]
    assert (figures["sAP_s"], figures["sAP_l"]) == (None, None)


def test_two_frames_late(tmp_path: Path) -> None:
    figures = Recording(tmp_path, moving(4)).figures(2 * FRAME)
    assert figures["sAP"] == figures["sAP_50"] == 0


def test_what_stands_still_is_found_late_but_whole(tmp_path: Path) -> None:
    figures = Recording(tmp_path, moving(4, step=0)).figures(2 * FRAME)
    # Two of four: 51 of 101 recalls.
    assert figures["sAP"] == figures["sAP_75"] == pytest.approx(51 / 101)


def test_sequences_do_not_see_each_other(tmp_path: Path) -> None:
    recording = Recording(tmp_path, moving(2), [[300, 300, 40, 40]] * 2)
    figures = recording.figures(FRAME)
    images = {
        image["id"]: image for image in json.loads(recording.annotations.read_text())["images"]
    }
    shown = json.loads(recording.shown.read_text())
    assert {
        (images[d["image_id"]]["sid"], images[d["image_id"]]["fid"], *d["bbox"]) for d in shown
    } == {
        (0, 1, 10, 50, 40, 40),
        (1, 1, 300, 300, 40, 40),
    }
    assert figures["sAP_50"] == pytest.approx(51 / 101)


def test_without_latency_it_is_the_ordinary_ap(tmp_path: Path) -> None:
    recording = Recording(tmp_path, moving(6), moving(5, step=3))
    rng = np.random.default_rng(0)
    found = json.loads(recording.detections.read_text())
    recording.find(
        [
            detection
            | {
                "bbox": (np.array(detection["bbox"]) + rng.uniform(-6, 6, 4)).tolist(),
                "score": rng.uniform(),
            }
            for detection in found * 2
        ]
    )
    ordinary = coco_figures(recording.annotations, recording.detections, "bbox").figures
    figures = recording.figures(0)
    assert 0.1 < figures["sAP"] < 0.9
    assert figures == {
        name: ordinary[f"bbox_m{name[1:]}"]
        for name in ("sAP", "sAP_50", "sAP_75", "sAP_s", "sAP_m", "sAP_l")
    }


def test_longer_than_the_sequence(tmp_path: Path) -> None:
    assert Recording(tmp_path, moving(4)).figures(4 * FRAME)["sAP"] == 0


def test_a_detector_that_found_nothing(tmp_path: Path) -> None:
    recording = Recording(tmp_path, moving(4))
    recording.find([])
    assert recording.figures(0)["sAP"] == 0


def test_runtimes_are_drawn_by_the_seed(tmp_path: Path) -> None:
    recording = Recording(tmp_path, moving(40))
    runtimes = [0, FRAME, 2 * FRAME]
    first = recording.figures(runtimes, seed=1)
    assert recording.figures(0)["sAP"] > first["sAP"] > recording.figures(2 * FRAME)["sAP"]
    assert recording.figures(runtimes, seed=1) == first
    assert recording.figures(runtimes, seed=2) != first
    assert recording.figures([FRAME]) == recording.figures(FRAME)


def test_images_that_are_no_sequence(tmp_path: Path) -> None:
    recording = Recording(tmp_path, moving(2))
    truth = json.loads(recording.annotations.read_text())
    del truth["images"][1]["sid"]
    recording.annotations.write_text(json.dumps(truth))
    with pytest.raises(UserError, match=r"truth.json: image 1: belongs to no sequence"):
        recording.figures(FRAME)
