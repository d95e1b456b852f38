"""Settings of the authors' released configs, as the experiments' merged configs have them.

What stands in the tables below was read from the files of the releases. A row that is not there is
not theirs, or not known.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from micro import PROJECT
from mmengine.config import Config

from mtpd.detectors.schedule import schedule_config
from mtpd.digests import Digests
from mtpd.experiment.load import load_experiment
from mtpd.experiment.recipes import Recipes
from mtpd.layout import Layout
from mtpd.settings.experiment import Experiment, Training
from mtpd.settings.losses import ONE_STAGE, TWO_STAGE, FocalGlobal, PearsonCorrelation
from mtpd.settings.runtime import Zoo

FOLDER = PROJECT / "config" / "experiments"
MTPD = [path.stem for path in sorted(FOLDER.glob("mtpd_*.yaml"))]
PGD_COCO = ("pgd_fcos", "pgd_autoassign", "pgd_atss", "pgd_gfl", "pgd_ddod")
PGD = (*PGD_COCO, "pgd_crowdhuman")


def experiment(name: str) -> Experiment:
    return load_experiment(FOLDER / f"{name}.yaml")


def merged(name: str, detector: str, training: Training) -> Config:
    """A detector's config with an experiment's schedule, as its training has it."""
    recipes = Recipes(experiment(name), Layout(Path("results"), name), Zoo(), Digests())
    config = Config(recipes.config(detector).to_dict())
    schedule_config(config, detector, training)
    return config


def stage(name: str) -> Config:
    opened = experiment(name)
    (method, *_) = opened.methods
    return merged(name, opened.student.name, opened.stage_training(method, None))


def teacher(name: str) -> Config:
    opened = experiment(name)
    (only,) = opened.teachers
    return merged(name, only, opened.detector_training(only))


@pytest.mark.parametrize("name", MTPD)
def test_mtpd_clips_gradients_in_every_stage(name: str) -> None:
    opened = experiment(name)
    for method in opened.methods:
        training = opened.stage_training(method, None)
        config = merged(name, opened.student.name, training)
        assert config.optim_wrapper.clip_grad == {"max_norm": 35, "norm_type": 2}
    for name_of_teacher, detector in opened.teachers.items():
        if detector.weights is None:
            own = merged(name, name_of_teacher, opened.detector_training(name_of_teacher))
            assert own.optim_wrapper.get("clip_grad") is None


@pytest.mark.parametrize("name", PGD)
def test_pgd_batch_and_rate(name: str) -> None:
    opened, config = experiment(name), stage(name)
    training = opened.stage_training("pgd", None)
    assert (opened.resources.train.gpus, training.batch_size) == (8, 4)
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay, training.lr_for_batch) == (0.02, 1e-4, 32)
    assert config.optim_wrapper.clip_grad.max_norm == 35
    warm_up, decay = config.param_scheduler
    assert (warm_up["start_factor"], warm_up["end"]) == (0.001, 500)
    assert decay["milestones"] == [8, 11]


@pytest.mark.parametrize("name", PGD)
def test_pgd_teachers(name: str) -> None:
    config = teacher(name)
    warm_up, decay = config.param_scheduler
    assert (warm_up["start_factor"], warm_up["end"]) == (0.001, 500)
    assert (config.train_cfg.max_epochs, decay["milestones"]) == (36, [24, 33])
    resize = config.train_dataloader.dataset.pipeline[2]
    assert [min(size) for size in resize["scale"]] == [480, 960]
    if name in PGD_COCO:
        assert [max(size) for size in resize["scale"]] == [1333, 1333]
        assert config.optim_wrapper.get("clip_grad") is None


@pytest.mark.parametrize("name", PGD)
@pytest.mark.parametrize("of", [stage, teacher], ids=["student", "teacher"])
def test_pgd_freezes_batch_norm_with_its_affine(name: str, of: Callable[[str], Config]) -> None:
    backbone = of(name).model.backbone
    assert backbone.norm_eval
    assert backbone.norm_cfg.requires_grad is False


@pytest.mark.parametrize("of", [stage, teacher], ids=["student", "teacher"])
def test_pgd_s_fcos(of: Callable[[str], Config]) -> None:
    config = of("pgd_fcos")
    assert config.model.bbox_head.loss_bbox == {"type": "IoULoss", "loss_weight": 1.0}
    assert config.model.test_cfg.nms.iou_threshold == 0.5
    assert not config.optim_wrapper.get("paramwise_cfg")


STYLES = {"pgd_fcos": ("pytorch", "caffe"), "pgd_autoassign": ("pytorch", "caffe")}


@pytest.mark.parametrize("name", STYLES)
def test_pgd_s_networks(name: str) -> None:
    """Caffe's kind of ResNet-101, with torchvision's weights."""
    backbones = [config.model.backbone for config in (stage(name), teacher(name))]
    assert tuple(backbone.style for backbone in backbones) == STYLES[name]
    for backbone in backbones:
        depth = backbone.depth
        assert backbone.init_cfg["checkpoint"] == f"torchvision://resnet{depth}"


def test_pgd_s_autoassign_has_no_settings_by_parameter() -> None:
    for config in (stage("pgd_autoassign"), teacher("pgd_autoassign")):
        assert not config.optim_wrapper.get("paramwise_cfg")


@pytest.mark.parametrize("name", ["pgd_ddod", "pgd_crowdhuman"])
def test_pgd_s_ddod(name: str) -> None:
    for config in (stage(name), teacher(name)):
        assert config.model.train_cfg.reg_assigner.alpha == 0.6


@pytest.mark.parametrize("name", PGD)
def test_pgd_in_both_readings(name: str) -> None:
    opened: Any = experiment(name)
    assert {method: opened.methods[method].losses[0].reading for method in opened.methods} == {
        "pgd": "text",
        "released": "release",
    }
    assert {run.method for run in opened.runs.values()} == set(opened.methods)


@pytest.mark.parametrize(("kind", "weight"), [(ONE_STAGE, 10), (TWO_STAGE, 6)])
def test_pkd_by_student(kind: str, weight: float) -> None:
    """Ten in its recipes for RetinaNet, FCOS and RepPoints, six for Faster R-CNN; P2 or P3 on."""
    settings = PearsonCorrelation(type="pkd").completed(kind, "any head")
    assert (settings.weight, settings.levels) == (weight, 4)


def test_fgd_s_fcos() -> None:
    settings = FocalGlobal(type="fgd").completed(ONE_STAGE, "FCOSHead")
    assert settings.temperature == 0.8
    assert (settings.alpha, settings.beta) == (1.6e-3, 8e-4)
    assert (settings.gamma, settings.lambda_global) == (8e-4, 8e-6)
