"""Stages of prediction-guided distillation inside a chain, from the YAML to the student alone."""

from __future__ import annotations

import pytest
import yaml
from micro import MICRO, PROJECT, changed
from mmdet.registry import MODELS
from mmengine.config import Config

from mtpd.chains import Chain
from mtpd.detectors.weights import load_weights
from mtpd.files import read_json
from mtpd.steps.check import check_detector, check_pair
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.stage import train_stage
from mtpd.steps.train import train_detector

LOSSES = [{"type": "fgd"}, {"type": "pgd"}, {"type": "ld"}]
GFL = str(PROJECT / "config" / "detectors" / "gfl_small.py")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("stage")
    path = folder / "micro.yaml"
    settings = changed(
        MICRO,
        ("student.config", GFL),
        ("teachers", {"a": {"config": GFL}, "b": {"config": GFL}}),
        ("methods", {"all": {"losses": LOSSES, "start": "inherit"}}),
        ("runs", {"chain": {"method": "all", "order": ["a", "b"]}}),
    )
    path.write_text(yaml.safe_dump(settings))
    opened = Context.open(path, folder / "results")
    prepare_data(opened.experiment, opened.layout)
    return opened


@pytest.mark.slow
def test_three_mechanisms_in_a_chain(context: Context) -> None:
    layout = context.layout
    for name in ("student", "a", "b"):
        check_detector(context, name)
    for teacher in ("a", "b"):
        check_pair(context, "all", teacher)
        train_detector(context, teacher)
    for chain in ("a", "a+b"):
        train_stage(context, "all", Chain.parse(chain))

    paired = read_json(layout.pair("all", "a"))
    assert [loss["type"] for loss in paired["losses"]] == ["fgd", "pgd", "ld"]
    assert paired["losses"][1]["alpha"] == 0.04  # published for GFL
    for chain in ("a", "a+b"):
        folder = layout.stage("all", chain)
        losses = read_json(folder.history)["epochs"][0]["train"]
        assert losses["loss_distill_fgd"] > 0
        assert losses["loss_distill_pgd"] > 0
        assert losses["loss_distill_ld"] > 0
        student = MODELS.build(Config.fromfile(folder.config).model)
        load_weights(student, folder.weights)  # the student alone, every tensor of it
    first, second = (
        Config.fromfile(layout.stage("all", chain).training_config).model for chain in ("a", "a+b")
    )
    assert (first.start, first.student_weights) == ("inherit", None)
    assert (second.start, second.student_weights) == (
        "weights",
        str(layout.stage("all", "a").weights),
    )


def test_a_teacher_whose_maps_are_kept_teaches_the_same(context: Context) -> None:
    """Losses agree as far as half precision goes; the next stage finds the maps."""
    experiment = context.experiment
    method = experiment.methods["all"]
    seen = method.model_copy(update={"teacher": method.teacher.model_copy(update={"cache_gb": 0})})
    both = {"kept": method, "seen": seen}
    opened = Context(experiment.model_copy(update={"methods": both, "seed": 5}), context.layout)
    for name in ("student", "a"):
        if not opened.layout.detector(name).weights.exists():
            train_detector(opened, name)
    losses = {}
    for name in both:
        train_stage(opened, name, Chain.parse("a@3"))
        history = read_json(opened.layout.stage(name, "a@3").history)
        losses[name] = [epoch["train"] for epoch in history["epochs"]]
    assert len(losses["kept"]) == 3
    for kept, seen_epoch in zip(losses["kept"], losses["seen"], strict=True):
        assert kept == pytest.approx(seen_epoch, rel=0.02)
    assert opened.store.maps_bytes() > 0
    config = Config.fromfile(opened.layout.stage("kept", "a@3").training_config)
    assert "teacher_maps" not in config.model
    assert not any(hook["type"] == "TrainingStateHook" for hook in config.custom_hooks)


def test_validation_every_few_epochs_and_at_the_end(context: Context) -> None:
    training = context.experiment.training.model_copy(update={"validate_every": 2, "epochs": 3})
    opened = Context(
        context.experiment.model_copy(update={"training": training, "seed": 6}), context.layout
    )
    train_detector(opened, "b")
    epochs = read_json(opened.layout.detector("b").history)["epochs"]
    assert ["val" in epoch for epoch in epochs] == [False, True, True]
