"""Speeds: measured exactly, measured and scaled, or assumed."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mtpd.detectors.sources import config_file
from mtpd.errors import UserError
from mtpd.estimation.speed import Assumptions, Calibration, Measurement, Speed, Workload
from mtpd.settings.experiment import Detector

R50 = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"
WORKLOAD = Workload(R50, "{}", (1333, 800), 2, False, "cuda", 0)
PUBLISHED = ("retinanet", "reppoints", "fcos", "atss", "gfl", "faster_rcnn", "mask_rcnn", "dcn")
PUBLISHED += ("cascade_rcnn", "htc")


def measurement(**changes: Any) -> Measurement:
    usual = {
        "config": R50,
        "image_size": (1333, 800),
        "batch_size": 2,
        "amp": False,
        "device": "cuda",
        "threads": 0,
        "device_name": "Test GPU",
        "torch": "2.0",
        "date": "2020-01-01",
        "parameters": 38_000_000,
        "seconds": {"train_step": 0.2, "forward": 0.05},
    }
    return Measurement.model_validate(usual | changes)


def speed(*measurements: Measurement) -> Speed:
    return Speed(Calibration(measurements=measurements))


def test_what_was_measured_is_taken_as_it_is() -> None:
    answer = speed(measurement()).ask("train_step", WORKLOAD)
    assert (answer.seconds, answer.source, answer.device_name) == (0.2, "measured", "Test GPU")


def test_other_images_are_scaled_by_their_pixels() -> None:
    known = speed(measurement())
    answer = known.ask("train_step", replace(WORKLOAD, batch_size=6, image_size=(800, 1333)))
    assert (answer.seconds, answer.source) == (pytest.approx(0.6), "scaled")


@pytest.mark.parametrize(
    "change",
    [
        {"config": "other_r50.py"},
        {"options": '{"model.backbone.depth": 101}'},
        {"amp": True},
        {"device": "cpu", "threads": 1},
        {"teacher": "{}"},
    ],
)
def test_anything_else_makes_another_workload(change: dict[str, Any]) -> None:
    known = speed(measurement())
    assert known.ask("train_step", replace(WORKLOAD, **change)).source == "assumed"
    assert known.ask("evaluation", WORKLOAD).source == "assumed"


def test_options_may_stand_in_any_order() -> None:
    known = speed(measurement(options={"a.x": 1, "b.y": [2]}))
    detector = Detector(config=R50, options={"b.y": [2], "a.x": 1})
    assert known.ask("forward", WORKLOAD.of_detector(detector)).source == "measured"


def test_assumptions_by_hand() -> None:
    """RetinaNet R50 takes 52.6 ms for an image of 1333x800 on a V100."""
    assumed = speed()
    assert assumed.ask("forward", WORKLOAD).seconds == pytest.approx(2 * 0.0526)
    assert assumed.ask("train_step", WORKLOAD).seconds == pytest.approx(3 * 2 * 0.0526)
    assert assumed.ask("evaluation", WORKLOAD.detection).seconds == pytest.approx(0.0526)
    mixed = replace(WORKLOAD, amp=True)
    assert assumed.ask("forward", mixed).seconds == pytest.approx(0.6 * 2 * 0.0526)
    assert assumed.ask("evaluation", mixed.detection).seconds == pytest.approx(0.0526)
    quarter = replace(WORKLOAD, image_size=(1333, 200))
    assert assumed.ask("forward", quarter).seconds == pytest.approx(2 * 0.0526 / 4)
    cpu = replace(WORKLOAD, device="cpu", threads=2)
    assert assumed.ask("forward", cpu).seconds == pytest.approx(2 * 0.0526 * 160 / 2)


def test_a_deeper_and_a_narrower_detector() -> None:
    assumptions = Assumptions.load()
    deep = replace(WORKLOAD, config="mask-rcnn_r101-dconv-c3-c5_fpn_1x_coco.py")
    assert assumptions.forward_seconds(deep) == pytest.approx((62.1 + 14.1 + 15.9) / 1000)
    narrow = replace(WORKLOAD, config="retinanet_r18_w16.py")
    assert assumptions.forward_seconds(narrow) == pytest.approx((52.6 - 10.4) / 1000 / 16)
    assert assumptions.n_parameters("retinanet_r18_w16.py") == pytest.approx(21.4e6 / 16)
    assert not assumptions.is_known("own.py")
    unknown = replace(WORKLOAD, config="own.py")
    assert assumptions.forward_seconds(unknown) == pytest.approx(0.0526)


def test_assumptions_agree_with_the_published_times() -> None:
    """Of MMDetection's metafiles: 800x1333, float32, V100, one image at a time."""
    ratios = []
    for folder in PUBLISHED:
        text = config_file(f"mmdet::{folder}/metafile.yml").read_text()
        raw = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for model in raw["Models"]:
            for time in model["Metadata"].get("inference time (ms/im)", []):
                if (time["hardware"], time["mode"]) != ("V100", "FP32"):
                    continue
                workload = replace(WORKLOAD, config=model["Config"])
                ours = 1000 * Assumptions.load().forward_seconds(workload)
                ratios.append(ours / time["value"])
    assert len(ratios) > 60
    assert statistics.median(ratios) == pytest.approx(1, abs=0.03)
    assert all(0.75 < ratio < 1.25 for ratio in ratios)


def test_a_pair_measured_as_a_whole_takes_the_place_of_the_sum() -> None:
    teacher = replace(WORKLOAD, config="big.py")
    big = measurement(config="big.py", seconds={"forward": 0.1})
    assert speed(measurement(), big).distillation_step(WORKLOAD, teacher, "[]") == pytest.approx(
        0.2 + 0.1
    )
    of_pair = {"config": "big.py", "options": {}, "losses": []}
    whole = measurement(teacher=of_pair, seconds={"distillation_step": 0.25})
    known = speed(measurement(), big, whole)
    assert known.distillation_step(WORKLOAD, teacher, "[]") == 0.25
    other_losses = known.distillation_step(WORKLOAD, teacher, '[{"type": "mgd"}]')
    assert other_losses == pytest.approx(0.2 + 0.1)


def test_a_file_keeps_everything_and_a_new_measurement_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "results" / "calibration.yaml"
    assert Calibration.load(path) == Calibration()
    first = Calibration().updated([measurement(), measurement(amp=True)])
    first.save(path)
    assert Calibration.load(path) == first
    faster = measurement(seconds={"train_step": 0.1})
    second = Calibration.load(path).updated([faster])
    assert second.measurements == (faster, measurement(amp=True))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("measurements: [", "is not YAML"),
        ("measurements: [{config: a.py}]", "measurements.0.image_size"),
        ("speeds: []", "speeds"),
        ("[]", "correct it, or delete it"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        Calibration.load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
