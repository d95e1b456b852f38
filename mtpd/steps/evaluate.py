"""Evaluation of a trained detector or student on the validation and test splits."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from mtpd.chains import Chain
from mtpd.detectors.datasets import coco_dataset
from mtpd.detectors.loaders import metrics_of, test_loader
from mtpd.detectors.pipelines import test_image_size
from mtpd.detectors.weights import load_weights
from mtpd.evaluation.coco import Kind, coco_figures
from mtpd.evaluation.complexity import count_flops, measure_latency
from mtpd.evaluation.crowdhuman import crowd_figures
from mtpd.evaluation.detections import DetectionWriter, json_list
from mtpd.evaluation.streaming import streaming_figures
from mtpd.experiment.recipes import Recipe
from mtpd.files import read_json, sha256_of, whole_folder, write_json
from mtpd.layout import ModelFolder
from mtpd.settings.experiment import Training
from mtpd.steps.context import Context
from mtpd.steps.provenance import provenance

logger = logging.getLogger(__name__)

Figures = dict[str, float | None]

LATENCY_IMAGES = 8
LATENCY_SECONDS = {"cpu": 0.5, "cuda": 5.0}


def evaluate_detector(context: Context, name: str) -> None:
    """Evaluate a detector without teacher; see :func:`evaluate`."""
    evaluate(context, name, context.layout.detector(name), context.recipes.train(name))


def evaluate_stage(context: Context, method: str, chain: str) -> None:
    """Evaluate the student after a stage; see :func:`evaluate`."""
    trained_by = context.recipes.stage(method, Chain.parse(chain))
    folder = context.layout.stage(method, chain)
    evaluate(context, context.experiment.student.name, folder, trained_by)


def evaluate(context: Context, name: str, folder: ModelFolder, trained_by: Recipe) -> None:
    """Evaluate the weights in ``folder`` with the config of the detector ``name``.

    Writes the detections of the validation split and of the reported one, in COCO's results format,
    and ``metrics.json``: for every split COCO's twelve figures for boxes, and for masks where the
    detector predicts them, as fractions or null (``bbox_mAP`` and so on), on CrowdHuman its own
    three (``crowd_AP``, ``crowd_MR``, ``crowd_JI``), and on sequences streaming accuracy (``sAP``
    and so on) with the latency that it is for; AP of every class; parameters; multiply-accumulates
    and the image size that they are for; latency; and the provenance, whose hash is that of the
    settings of ``trained_by``, the training.
    """
    config = context.detector_config(name, Training())
    dataset = context.dataset
    kinds = metrics_of(config, dataset)
    splits = tuple(dict.fromkeys(("val", dataset.reported)))
    init_default_scope("mmdet")
    model = MODELS.build(config.model)
    load_weights(model, folder.weights)
    with whole_folder(folder.detections) as dumps:
        for split in splits:
            files = {kind: dumps / folder.detections_of(split, kind).name for kind in kinds}
            _detect(context, config, split, model, files, folder)
    latency = _latency(context, model, config)
    if dataset.protocol == "streaming":
        latency |= _streaming_latency(context, name, latency["latency_ms"])
    measured = {
        split: _figures(context, split, kinds, folder, latency.get("streaming_latency_ms"))
        for split in splits
    }
    write_json(
        folder.metrics,
        {
            "splits": {split: figures for split, (figures, _) in measured.items()},
            "classes": {split: classes for split, (_, classes) in measured.items()},
            "reported_split": dataset.reported,
            "parameters": sum(p.numel() for p in model.parameters()),
            **_flops(model, config),
            **latency,
            "weights_sha256": sha256_of(folder.weights),
            **provenance(context.experiment.seed, trained_by.settings),
        },
    )


def _detect(
    context: Context,
    config: Config,
    split: str,
    model: nn.Module,
    files: Mapping[Kind, Path],
    folder: ModelFolder,
) -> None:
    """Run the detector over ``split`` and write what it finds to ``files``."""
    dataset = context.dataset
    categories = read_json(dataset.splits[split].annotations)["categories"]
    ids = {category["name"]: category["id"] for category in categories}
    with ExitStack() as stack:
        outputs = {kind: stack.enter_context(json_list(file)) for kind, file in files.items()}
        writer = DetectionWriter(outputs, [ids[label] for label in dataset.classes])
        Runner(
            model=model,
            work_dir=str(folder.path / "runs"),
            test_dataloader=test_loader(config, dataset, split, context.pipeline("infer")),
            test_evaluator=Evaluator([writer]),
            test_cfg={"type": "TestLoop"},
            default_scope="mmdet",
            default_hooks={"checkpoint": None},
            experiment_name=f"evaluate_{split}",
            env_cfg={"mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0}},
            randomness={"seed": context.experiment.seed},
        ).test()


def _figures(
    context: Context,
    split: str,
    kinds: Sequence[Kind],
    folder: ModelFolder,
    streaming_latency_ms: float | None,
) -> tuple[Figures, dict[str, Figures]]:
    """Figures of all classes together, and the AP of each, from the detections on ``split``."""
    figures: Figures = {}
    classes: dict[str, Figures] = {label: {} for label in context.dataset.classes}
    annotations = context.dataset.splits[split].annotations
    for kind in kinds:
        measured = coco_figures(annotations, folder.detections_of(split, kind), kind)
        figures |= measured.figures
        for label, ap in measured.classes.items():
            classes[label][f"{kind}_mAP"] = ap
    if context.dataset.protocol == "crowdhuman":
        figures |= crowd_figures(annotations, folder.detections_of(split, "bbox"))
    if streaming_latency_ms is not None:
        found, shown = (folder.detections_of(split, kind) for kind in ("bbox", "streaming"))
        figures |= streaming_figures(annotations, found, shown, streaming_latency_ms)
    return figures, classes


def _flops(model: nn.Module, config: Config) -> dict[str, Any]:
    """Multiply-accumulates at the size that the pipeline fits images into; null if unknown."""
    size = test_image_size(config)
    if size is None:
        logger.warning("FLOPs are not counted (the test pipeline resizes to no fixed size)")
    counted = None if size is None else count_flops(model, size)
    return {
        "flops": None if counted is None else counted.flops,
        "flops_image_size": None if counted is None else counted.image_size,
    }


def _latency(context: Context, model: nn.Module, config: Config) -> dict[str, Any]:
    """Median time of one image, over the first images of the validation split."""
    loaded = DATASETS.build(
        {**coco_dataset(context.dataset, "val", config.test_pipeline), "test_mode": True}
    )
    images = [pseudo_collate([loaded[i]]) for i in range(min(LATENCY_IMAGES, len(loaded)))]
    device = next(model.parameters()).device.type
    latency = measure_latency(model, images, LATENCY_SECONDS[device])
    return {
        "latency_ms": latency.median,
        "latency_quartiles_ms": latency.quartiles,
        "latency_images": latency.images,
        "latency_device": latency.device,
    }


def _streaming_latency(context: Context, name: str, measured: float) -> dict[str, Any]:
    """The latency that streaming accuracy is for: the one that the experiment gives, if it does."""
    given = context.experiment.detector(name).latency_ms
    return {
        "streaming_latency_ms": measured if given is None else given,
        "streaming_latency": "measured" if given is None else "given",
    }
