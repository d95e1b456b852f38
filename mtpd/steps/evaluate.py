"""Evaluation of a trained detector or student on the validation and test splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mtpd.detectors.config import evaluator, test_loader
from mtpd.detectors.train import clear_states
from mtpd.detectors.weights import load_weights
from mtpd.experiment.settings import Training
from mtpd.files import sha256_of, write_json
from mtpd.layout import ModelFolder
from mtpd.steps.context import Context
from mtpd.steps.provenance import provenance


def evaluate(context: Context, name: str, folder: ModelFolder, trained_by: Any) -> None:
    """Evaluate the weights in ``folder`` with the config of the detector ``name``.

    Writes ``metrics.json``: for every split pycocotools' figures as fractions (``bbox_mAP`` and so
    on), the number of parameters, and the provenance: the hash is that of ``trained_by``, the
    settings of the training.
    """
    clear_states(folder)
    config = context.detector_config(name, Training())
    splits = dict.fromkeys(("val", context.dataset.reported))
    figures = {}
    parameters = 0
    for split in splits:
        runner = _runner(context, config, split, folder)
        load_weights(runner.model, folder.weights)
        parameters = sum(p.numel() for p in runner.model.parameters())
        metrics = runner.test()
        figures[split] = _named(metrics, evaluator(config, context.dataset, split)["metric"])
    write_json(
        folder.metrics,
        {
            "splits": figures,
            "reported_split": context.dataset.reported,
            "parameters": parameters,
            "weights_sha256": sha256_of(folder.weights),
            **provenance(context.experiment.seed, trained_by),
        },
    )


def _runner(context: Context, config: Config, split: str, folder: ModelFolder) -> Runner:
    loader = test_loader(config, context.dataset, split, context.experiment.pipeline)
    return Runner(
        model=config.model,
        work_dir=str(Path(folder.path) / "runs"),
        test_dataloader=loader,
        test_evaluator=evaluator(config, context.dataset, split),
        test_cfg={"type": "TestLoop"},
        default_scope="mmdet",
        default_hooks={"checkpoint": None},
        experiment_name=f"evaluate_{split}",
        env_cfg={"mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0}},
        randomness={"seed": context.experiment.seed},
    )


def _named(metrics: dict[str, float], kinds: list[str]) -> dict[str, float]:
    """Figures without the evaluator's prefix. A detector that found nothing has an AP of 0."""
    figures = {key.removeprefix("coco/"): float(value) for key, value in metrics.items()}
    for kind in kinds:
        figures.setdefault(f"{kind}_mAP", 0.0)
    return figures
