"""The page on losses in a config of one's own: its config is trained by MMDetection's own tool."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import mmdet
import pytest
import torch
from micro import PROJECT
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mtpd.data.shapes import SHAPES, generate_shapes
from mtpd.detectors.reading import read_config
from mtpd.detectors.weights import load_weights, save_weights

PAGE = (PROJECT / "docs" / "losses-alone.md").read_text(encoding="utf-8")
TOOL = Path(mmdet.__file__).parent / ".mim" / "tools" / "train.py"


def own_config(data: Path) -> Config:
    """A complete config as MMDetection ships it, for the small data set in ``data``."""
    config = read_config("mmdet::retinanet/retinanet_r18_fpn_1x_coco.py")
    config.model.backbone.init_cfg = None
    config.model.bbox_head.num_classes = len(SHAPES)
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.update(
            data_root=str(data),
            ann_file="annotations.json",
            data_prefix={"img": "images/"},
            metainfo={"classes": tuple(SHAPES)},
        )
        for step in loader.dataset.pipeline:
            if step.type == "Resize":
                step.scale = (64, 64)
    config.train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": 1, "val_interval": 2}
    config.val_evaluator.ann_file = config.test_evaluator.ann_file = str(data / "annotations.json")
    config.default_hooks.logger.interval = 1
    return config


def detector_of(config: Config) -> Any:
    init_default_scope("mmdet")
    return MODELS.build(config.model)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The configs that the page supposes, the teacher's weights, and the page's own config."""
    generate_shapes(tmp_path / "data", split="train", images=2, size=64, seed=0)
    config = own_config(tmp_path / "data")
    for name in ("student", "teacher"):
        config.dump(str(tmp_path / f"{name}.py"))
    save_weights(tmp_path / "teacher.pth", detector_of(config), SHAPES)
    block = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    (tmp_path / "distill.py").write_text(block[1])
    return tmp_path


def check_student(folder: Path) -> None:
    """The student alone has been written, and no checkpoint has the teacher in it."""
    student = detector_of(Config.fromfile(folder / "student.py"))
    assert load_weights(student, folder / "student.pth") == tuple(SHAPES)
    saved = torch.load(folder / "work_dirs/distill/epoch_1.pth", weights_only=False)["state_dict"]
    assert {key.partition(".")[0] for key in saved} <= {"student", "losses"}


def test_the_config_trains_a_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    config = Config.fromfile("distill.py")
    config.work_dir = "work_dirs/distill"
    runner = Runner.from_cfg(config)
    runner.train()
    assert float(runner.message_hub.get_scalar("train/loss_distill_cwd").current()) > 0
    check_student(folder)


@pytest.mark.slow
def test_the_tool_of_mmdetection_trains_it(folder: Path) -> None:
    """In a process that has imported nothing of this project before it reads the config."""
    done = subprocess.run(
        [sys.executable, str(TOOL), "distill.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    step = next(line for line in output.splitlines() if "Epoch(train)" in line)
    assert float(re.search(r"loss_distill_cwd: (\S+)", step)[1]) > 0  # type: ignore[index]
    check_student(folder)
