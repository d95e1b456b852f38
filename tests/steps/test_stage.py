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

GFL = str(PROJECT / "config" / "detectors" / "gfl_small.py")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("stage")
    path = folder / "micro.yaml"
    settings = changed(
        MICRO,
        ("student.config", GFL),
        ("teachers", {"a": {"config": GFL}, "b": {"config": GFL}}),
        ("methods", {"both": {"losses": [{"type": "fgd"}, {"type": "pgd"}], "start": "inherit"}}),
        ("runs", {"chain": {"method": "both", "order": ["a", "b"]}}),
    )
    path.write_text(yaml.safe_dump(settings))
    opened = Context.open(path, folder / "results")
    prepare_data(opened.experiment, opened.layout)
    return opened


def test_two_mechanisms_in_a_chain(context: Context) -> None:
    layout = context.layout
    for name in ("student", "a", "b"):
        check_detector(context, name)
    for teacher in ("a", "b"):
        check_pair(context, "both", teacher)
        train_detector(context, teacher)
    for chain in ("a", "a+b"):
        train_stage(context, "both", Chain.parse(chain))

    paired = read_json(layout.pair("both", "a"))
    assert [loss["type"] for loss in paired["losses"]] == ["fgd", "pgd"]
    assert paired["losses"][1]["alpha"] == 0.04  # published for GFL
    for chain in ("a", "a+b"):
        folder = layout.stage("both", chain)
        losses = read_json(folder.history)["epochs"][0]["train"]
        assert losses["loss_distill_fgd"] > 0
        assert losses["loss_distill_pgd"] > 0
        student = MODELS.build(Config.fromfile(folder.config).model)
        load_weights(student, folder.weights)  # the student alone, every tensor of it
    first, second = (
        Config.fromfile(layout.stage("both", chain).training_config).model for chain in ("a", "a+b")
    )
    assert (first.start, first.student_weights) == ("inherit", None)
    assert (second.start, second.student_weights) == (
        "weights",
        str(layout.stage("both", "a").weights),
    )
