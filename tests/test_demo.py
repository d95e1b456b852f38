"""The demo's teachers: what lies in the repository is what the experiments ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
from micro import PROJECT
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mtpd.data.shapes import SHAPES
from mtpd.detectors.own_config import own_config
from mtpd.detectors.weights import load_weights
from mtpd.experiment.load import load_experiment
from mtpd.files import sha256_of

WEIGHTS = PROJECT / "config" / "weights"
EXPERIMENTS = [
    PROJECT / "config" / "experiments" / f"{name}.yaml"
    for name in (
        "demo",
        "evidence_shapes_tuning",
        "evidence_shapes",
        "evidence_shapes_budget",
        "evidence_orders",
        "evidence_precision",
    )
]


def test_the_weights_are_small_enough_to_lie_in_the_repository() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= 10_000_000


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_teachers_are_those_that_the_experiment_vouches_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    experiment = load_experiment(path)
    assert experiment.teachers
    init_default_scope("mmdet")
    for name, teacher in experiment.teachers.items():
        assert teacher.weights is not None
        assert teacher.sha256 == sha256_of(Path(teacher.weights))
        config = own_config(name, teacher)
        config.model.bbox_head.num_classes = len(SHAPES)
        model = MODELS.build(config.model)
        assert load_weights(model, Path(teacher.weights)) == tuple(SHAPES)
