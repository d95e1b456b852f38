"""Streaming accuracy in the evaluate step, with a given latency and with the measured one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from argoverse import write_argoverse_hd
from micro import MICRO, changed
from truth import by_hand

from mtpd.digests import Digests
from mtpd.evaluation.coco import FIGURES
from mtpd.experiment.recipes import Recipes, Task
from mtpd.files import read_json
from mtpd.layout import Layout
from mtpd.settings.experiment import Experiment
from mtpd.settings.runtime import Zoo
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.evaluate import evaluate_detector
from mtpd.steps.train import train_detector

SURE = {"model.test_cfg.score_thr": 0.0}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("streaming")
    settings = changed(
        MICRO,
        ("data", write_argoverse_hd(folder / "argoverse")),
        ("student.options", SURE),
        ("student.latency_ms", 50),
        ("teachers.a.options", SURE),
        ("ordering.images", 4),
    )
    path = folder / "micro.yaml"
    path.write_text(yaml.safe_dump(settings))
    opened = Context.open(path, folder / "results")
    prepare_data(opened.experiment, opened.layout)
    for name in ("student", "a"):
        train_detector(opened, name)
        evaluate_detector(opened, name)
    return opened


@pytest.mark.parametrize("name", ["student", "a"])
def test_figures_are_those_of_the_detections_at_hand(context: Context, name: str) -> None:
    folder = context.layout.detector(name)
    figures = read_json(folder.metrics)["splits"]["val"]
    annotations = context.dataset.splits["val"].annotations
    expected = by_hand(annotations, folder.detections_of("val", "streaming"), "bbox")
    streaming = dict(zip(FIGURES, expected, strict=True))
    for key, value in figures.items():
        if key.startswith("sAP"):
            assert value == streaming[f"m{key[1:]}"]
    assert figures["bbox_mAP"] is not None


def test_a_given_latency_of_a_frame_and_a_half(context: Context) -> None:
    """Of the four frames of a sequence the last two see the first frame and the second."""
    folder = context.layout.detector("student")
    metrics = read_json(folder.metrics)
    assert (metrics["streaming_latency_ms"], metrics["streaming_latency"]) == (50, "given")
    images = read_json(context.dataset.splits["val"].annotations)["images"]
    frames = {image["id"]: (image["sid"], image["fid"]) for image in images}

    def of_frames(kind: str) -> dict[tuple[int, int], list[Any]]:
        found: dict[tuple[int, int], list[Any]] = {}
        for detection in read_json(folder.detections_of("val", kind)):
            found.setdefault(frames[detection.pop("image_id")], []).append(detection)
        return found

    made, shown = of_frames("bbox"), of_frames("streaming")
    assert len(made) == 8
    late = {(0, 2): (0, 0), (0, 3): (0, 1), (1, 2): (1, 0), (1, 3): (1, 1)}
    assert shown == {frame: made[seen] for frame, seen in late.items()}


def test_the_measured_latency_is_taken_where_none_is_given(context: Context) -> None:
    metrics = read_json(context.layout.detector("a").metrics)
    assert metrics["streaming_latency"] == "measured"
    assert metrics["streaming_latency_ms"] == metrics["latency_ms"] > 0


def test_a_latency_changes_the_evaluation_alone() -> None:
    plain, given = (
        Recipes(
            Experiment.model_validate(changed(MICRO, ("student.latency_ms", latency))),
            Layout(Path("results"), "micro"),
            Zoo(),
            Digests(),
        )
        for latency in (None, 12.5)
    )
    for rule in ("train", "features"):
        task = Task(rule, ("student",))
        assert plain.of(task).settings == given.of(task).settings
    task = Task("evaluate_detector", ("student",))
    assert plain.of(task).settings != given.of(task).settings
