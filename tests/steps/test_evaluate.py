"""The evaluate step: its figures are those of pycocotools on the detections that it leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from micro import MICRO, PROJECT, changed
from truth import by_hand

from mtpd.detectors import loaders
from mtpd.errors import UserError
from mtpd.evaluation.coco import FIGURES
from mtpd.files import read_json, write_json
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.evaluate import evaluate_detector
from mtpd.steps.order import write_order
from mtpd.steps.train import train_detector

MASKS = str(PROJECT / "config" / "detectors" / "mask_rcnn_small.py")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """An experiment with a detector of masks, and a student that is too unsure to find anything."""
    folder = tmp_path_factory.mktemp("evaluate")
    settings = changed(
        MICRO,
        ("student.options", {"model.test_cfg.score_thr": 0.99}),
        ("teachers", {"a": {"config": MASKS}}),
        ("training.epochs", 1),
        ("runs", {"direct": {"method": "fm", "order": "direct"}}),
    )
    path = folder / "micro.yaml"
    path.write_text(yaml.safe_dump(settings))
    opened = Context.open(path, folder / "results")
    prepare_data(opened.experiment, opened.layout)
    for name in ("student", "a"):
        train_detector(opened, name)
        evaluate_detector(opened, name)
    return opened


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_figures_are_those_of_pycocotools(context: Context, split: str, kind: str) -> None:
    folder = context.layout.detector("a")
    figures = read_json(folder.metrics)["splits"][split]
    found = folder.detections_of(split, kind)
    assert len(read_json(found)) > 10
    expected = by_hand(context.dataset.splits[split].annotations, found, kind)
    measured = [figures[f"{kind}_{name}"] for name in FIGURES]
    assert measured == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize("name", ["student", "a"])
def test_the_last_epochs_validation_gives_the_same_figures(context: Context, name: str) -> None:
    folder = context.layout.detector(name)
    (epoch,) = read_json(folder.history)["epochs"]
    figures = read_json(folder.metrics)["splits"]["val"]
    assert epoch["val"] == {key: -1 if v is None else v for key, v in figures.items()}


def test_small_images_of_one_size_are_taken_together_and_found_alike(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = context.detector_config("a", context.experiment.training)
    assert context.dataset.splits["test"].image_size == (64, 64)
    assert config.val_dataloader.batch_size == loaders.AT_A_TIME
    folder = context.layout.detector("a")
    together = read_json(folder.detections_of("test", "bbox"))
    monkeypatch.setattr(loaders, "AT_A_TIME", 1)
    evaluate_detector(context, "a")
    alone = read_json(folder.detections_of("test", "bbox"))
    assert [found["image_id"] for found in together] == [found["image_id"] for found in alone]
    for one, other in zip(together, alone, strict=True):
        assert one["category_id"] == other["category_id"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)
        assert one["bbox"] == pytest.approx(other["bbox"], abs=0.01)


def test_large_images_and_images_of_many_sizes_come_one_by_one(context: Context) -> None:
    dataset = context.dataset
    config = context.detector_config("a", context.experiment.training)
    assert loaders._images_at_a_time(config, replace(dataset.splits["val"], image_size=None)) == 1
    for size, expected in (((1333, 800), 1), ((640, 400), 4), ((64, 64), loaders.AT_A_TIME)):
        config.test_pipeline[1]["scale"] = size
        assert loaders._images_at_a_time(config, dataset.splits["val"]) == expected


def test_every_class_has_an_ap(context: Context) -> None:
    metrics = read_json(context.layout.detector("a").metrics)
    for split, classes in metrics["classes"].items():
        assert tuple(classes) == context.dataset.classes
        for kind in ("bbox", "segm"):
            measured = [ap[f"{kind}_mAP"] for ap in classes.values()]
            known = [ap for ap in measured if ap is not None]
            assert sum(known) / len(known) == pytest.approx(metrics["splits"][split][f"{kind}_mAP"])


def test_every_key_is_documented(context: Context) -> None:
    page = (PROJECT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    metrics = read_json(context.layout.detector("student").metrics)
    for key in (*metrics, *metrics["splits"]["val"]):
        assert f"`{key}`" in page, key


def test_a_detector_that_finds_nothing(context: Context) -> None:
    folder = context.layout.detector("student")
    assert read_json(folder.detections_of("val", "bbox")) == []
    assert sorted(file.name for file in folder.detections.iterdir()) == [
        "test.bbox.json", "val.bbox.json",
    ]  # fmt: skip
    figures = read_json(folder.metrics)["splits"]["val"]
    assert (figures["bbox_mAP"], figures["bbox_AR_100"], figures["bbox_mAP_l"]) == (0, 0, None)


def test_costs_stand_beside_the_figures(context: Context) -> None:
    metrics = read_json(context.layout.detector("student").metrics)
    assert metrics["flops"] > metrics["parameters"] > 0
    assert metrics["flops_image_size"] == [64, 64]
    first, third = metrics["latency_quartiles_ms"]
    assert 0 < first <= metrics["latency_ms"] <= third
    assert metrics["latency_images"] >= 5
    assert metrics["latency_device"].startswith(("cpu, ", "NVIDIA"))


@pytest.mark.parametrize("figures", [{"bbox_mAP": None}, {}])
def test_a_teacher_without_score_cannot_be_ordered(
    context: Context, figures: dict[str, Any]
) -> None:
    path = context.layout.detector("a").metrics
    kept = read_json(path)
    write_json(path, {**kept, "splits": {"val": figures}})
    try:
        with pytest.raises(UserError, match="has no bbox_mAP on val"):
            write_order(context)
    finally:
        write_json(path, kept)
