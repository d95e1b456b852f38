"""Stages whose adapters start as fitted maps, from the YAML to the log."""

from __future__ import annotations

from pathlib import Path

import yaml
from micro import MICRO, changed

from mtpd.chains import Chain
from mtpd.files import read_json
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.stage import train_stage
from mtpd.steps.train import train_detector

METHODS = {
    "random": {"losses": [{"type": "feature_matching"}]},
    "fitted": {"losses": [{"type": "feature_matching"}], "adapters": "fitted"},
}


def test_a_stage_begins_with_a_smaller_loss(tmp_path: Path) -> None:
    path = tmp_path / "micro.yaml"
    settings = changed(
        MICRO,
        ("teachers", {"b": MICRO["teachers"]["b"]}),
        ("methods", METHODS),
        ("runs", {name: {"method": name, "order": ["b"]} for name in METHODS}),
    )
    path.write_text(yaml.safe_dump(settings))
    context = Context.open(path, tmp_path / "results")
    prepare_data(context.experiment, context.layout)
    for name in ("student", "b"):
        train_detector(context, name)
    losses = {}
    for name in METHODS:
        train_stage(context, name, Chain.parse("b"))
        folder = context.layout.stage(name, "b")
        losses[name] = read_json(folder.history)["epochs"][0]["train"][
            "loss_distill_feature_matching"
        ]
    assert losses["fitted"] < 0.8 * losses["random"]
    config = context.layout.stage("fitted", "b").training_config.read_text()
    assert "FitAdaptersHook" in config
    stages = [context.recipes.stage(name, Chain.parse("b")) for name in METHODS]
    assert stages[0].content() | {"adapters": "fitted"} == stages[1].content()
