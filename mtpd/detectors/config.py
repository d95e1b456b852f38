"""From an experiment's settings to an MMEngine config that MMDetection's own tools can run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from mmengine.config import Config, ConfigDict

from mtpd.data.dataset import Dataset
from mtpd.detectors.reading import read_config
from mtpd.errors import UserError
from mtpd.layout import ModelFolder
from mtpd.settings.experiment import Detector, ImagePipeline, Training

HEADS = ("bbox_head", "mask_head", "mask_iou_head", "point_head", "segm_head", "roi_head")
"""Parts of a model config that predict the data set's classes, or hold such parts."""


def base_config(name: str, detector: Detector, dataset: Dataset) -> Config:
    """The detector's own config with the experiment's ``options`` and the data set's classes.

    Raises:
        UserError: The config cannot be read or holds no model.
    """
    config = own_config(name, detector)
    with _fitting(name, detector):
        for head in _heads(config.model):
            if "num_classes" in head:
                head.num_classes = len(dataset.classes)
    return config


def own_config(name: str, detector: Detector) -> Config:
    """The detector's own config with the experiment's ``options``.

    Raises:
        UserError: The config cannot be read or holds no model.
    """
    where = f"{name}: {detector.config}"
    try:
        config = read_config(detector.config)
    except Exception as error:  # a config is Python: anything can go wrong in it
        raise UserError(where, f"cannot be read ({error})", "mend the config") from error
    if "model" not in config:
        raise UserError(where, "defines no model", "name a detector's config")
    for option in detector.options:
        first = option.partition(".")[0]
        if first not in config:
            known = ", ".join(sorted(config.keys()))
            raise UserError(
                f"{name}: options.{option}", f"the config has no '{first}'", f"it has: {known}"
            )
    with _fitting(name, detector):
        config.merge_from_dict(dict(detector.options))
    return config


@contextmanager
def _fitting(name: str, detector: Detector) -> Iterator[None]:
    """Say in one line that the options make no config of a detector."""
    try:
        yield
    except (TypeError, KeyError, AttributeError, IndexError) as error:
        raise UserError(
            f"{name}: options", f"do not fit {detector.config} ({error})", "mend the options"
        ) from error


def has_masks(model: ConfigDict) -> bool:
    """Whether the detector predicts instance masks."""
    return any("mask_head" in part for part in (model, *_heads(model)))


SIZES = ("scale", "scales", "crop_size")
"""Arguments of a pipeline's transforms that are image sizes in pixels."""


def set_pipelines(config: Config, pipeline: ImagePipeline, masks: bool) -> None:
    """Put the experiment's image pipeline in place of the config's own, if it gives a size.

    Otherwise the sizes of the config's own are scaled.
    """
    if pipeline.size is None:
        config.train_pipeline = _scaled(config.train_pipeline, pipeline.scale)
        config.test_pipeline = _scaled(config.test_pipeline, pipeline.scale)
        return
    load = {"type": "LoadImageFromFile"}
    annotations = {"type": "LoadAnnotations", "with_bbox": True, "with_mask": masks}
    resize = {"type": "Resize", "scale": pipeline.size, "keep_ratio": True}
    flip = {"type": "RandomFlip", "prob": pipeline.flip}
    keys = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
    config.train_pipeline = [load, annotations, resize, flip, {"type": "PackDetInputs"}]
    config.test_pipeline = [load, resize, {"type": "PackDetInputs", "meta_keys": keys}]


def _scaled(transforms: Any, factor: float) -> Any:
    """A pipeline, or a part of one, with all image sizes times ``factor``."""
    if isinstance(transforms, dict):
        return {
            key: _scaled_size(value, factor) if key in SIZES else _scaled(value, factor)
            for key, value in transforms.items()
        }
    if isinstance(transforms, list | tuple):
        return type(transforms)(_scaled(item, factor) for item in transforms)
    return transforms


def _scaled_size(size: Any, factor: float) -> Any:
    """A size in pixels, or several; what is no whole number is relative and stays."""
    if isinstance(size, list | tuple):
        return type(size)(_scaled_size(item, factor) for item in size)
    return max(1, round(size * factor)) if isinstance(size, int) else size


def data_config(
    config: Config, dataset: Dataset, pipeline: ImagePipeline, training: Training, seed: int
) -> None:
    """Set the loaders and evaluators of ``config`` to the prepared data set."""
    if pipeline.size is None:
        _check_own_pipelines(config)
    own, times = innermost(config.get("train_dataloader", {}).get("dataset", {}))
    own_test, _ = innermost(config.get("test_dataloader", {}).get("dataset", {}))
    config.train_pipeline = own.get("pipeline", [])
    config.test_pipeline = own_test.get("pipeline", [])
    set_pipelines(config, pipeline, has_masks(config.model))
    train = {
        **coco_dataset(dataset, "train", config.train_pipeline),
        "filter_cfg": {"filter_empty_gt": True},
    }
    if times > 1 and training.epochs is None:
        train = {"type": "RepeatDataset", "times": times, "dataset": train}
    batch = training.batch_size or config.get("train_dataloader", {}).get("batch_size", 2)
    config.train_dataloader = {
        **_workers(pipeline),
        "batch_size": batch,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "batch_sampler": {"type": "ResumableBatchSampler"},
        "dataset": {"type": "SeededDataset", "dataset": train, "seed": seed},
    }
    config.val_dataloader = test_loader(config, dataset, "val", pipeline)
    config.val_evaluator = evaluator(config, dataset, "val")
    config.val_cfg = {"type": "ValLoop"}
    config.test_dataloader = test_loader(config, dataset, dataset.reported, pipeline)
    config.test_evaluator = evaluator(config, dataset, dataset.reported)
    config.test_cfg = {"type": "TestLoop"}


def test_loader(
    config: Config, dataset: Dataset, split: str, pipeline: ImagePipeline
) -> dict[str, Any]:
    """Loader of ``split``, one image at a time, in order."""
    return {
        **_workers(pipeline),
        "batch_size": 1,
        "drop_last": False,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "dataset": {**coco_dataset(dataset, split, config.test_pipeline), "test_mode": True},
    }


def evaluator(config: Config, dataset: Dataset, split: str) -> dict[str, Any]:
    """COCO box AP, and mask AP for a detector with masks on data with masks."""
    return {
        "type": "CocoMetric",
        "ann_file": str(dataset.splits[split].annotations),
        "metric": metrics_of(config, dataset),
    }


def metrics_of(config: Config, dataset: Dataset) -> list[Literal["bbox", "segm"]]:
    """What a detector is evaluated by: boxes, and masks if it predicts them and the data has."""
    return ["bbox", "segm"] if has_masks(config.model) and dataset.has_masks else ["bbox"]


def test_image_size(config: Config) -> tuple[int, int] | None:
    """Width and height that the test pipeline fits a wide image into; None if it does not say."""
    scales = [step.get("scale") for step in config.test_pipeline if "Resize" in str(step["type"])]
    if len(scales) != 1 or not isinstance(scales[0], (tuple, list)) or len(scales[0]) != 2:
        return None
    return max(scales[0]), min(scales[0])


def coco_dataset(dataset: Dataset, split: str, pipeline: list[Any]) -> dict[str, Any]:
    """MMDetection's data set of one split."""
    return {
        "type": "CocoDataset",
        "metainfo": {"classes": dataset.classes},
        "data_root": "",
        "ann_file": str(dataset.splits[split].annotations),
        "data_prefix": {"img": str(dataset.splits[split].images)},
        "pipeline": pipeline,
    }


def schedule_config(config: Config, where: str, training: Training) -> None:
    """Set optimiser, learning-rate schedule and epochs; what is not given stays as it was."""
    own_epochs = config.get("train_cfg", {}).get("max_epochs")
    epochs = training.epochs or own_epochs
    if epochs is None:
        raise UserError(where, "nothing says for how many epochs", "add training.epochs")
    config.train_cfg = {"type": "ResumableTrainLoop", "max_epochs": epochs, "val_interval": 1}
    wrapper = config.get("optim_wrapper", ConfigDict())
    if training.optimizer is not None:
        wrapper.optimizer = ConfigDict(training.optimizer)
    if "optimizer" not in wrapper:
        raise UserError(where, "nothing says which optimiser", "add training.optimizer")
    if training.clip_grad_norm is not None:
        wrapper.clip_grad = {"max_norm": training.clip_grad_norm, "norm_type": 2}
    if training.amp is not None or "type" not in wrapper:
        wrapper.type = "AmpOptimWrapper" if training.amp else "OptimWrapper"
    config.optim_wrapper = wrapper
    config.param_scheduler = _schedulers(config, training, epochs, own_epochs)
    # The config's own says which batch its rate is made for; here the experiment does.
    config.auto_scale_lr = {
        "enable": training.lr_for_batch is not None,
        "base_batch_size": training.lr_for_batch or 1,
    }


def runtime_config(config: Config, folder: ModelFolder, seed: int) -> None:
    """Set what every run needs: scope, seed, logging, no checkpoints but our own."""
    config.default_scope = "mmdet"
    config.work_dir = str(folder.path / "runs")
    config.randomness = {"seed": seed}
    config.env_cfg = {
        "cudnn_benchmark": False,
        "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
        "dist_cfg": {"backend": "nccl"},
    }
    config.default_hooks = {
        "logger": {"type": "LoggerHook", "interval": 50},
        "checkpoint": None,
        "sampler_seed": {"type": "DistSamplerSeedHook"},
    }
    own = [f"mtpd.detectors.{module}" for module in ("hooks", "loading", "resume")]
    imports = [*config.get("custom_imports", {}).get("imports", []), *own]
    config.custom_imports = {"imports": imports, "allow_failed_imports": False}
    config.custom_hooks = [
        *config.get("custom_hooks", []),
        {"type": "HistoryHook", "path": str(folder.history)},
        {"type": "DetectorWeightsHook", "path": str(folder.weights)},
    ]
    config.vis_backends = []
    config.visualizer = {"type": "DetLocalVisualizer", "vis_backends": []}
    config.log_processor = {"type": "LogProcessor", "window_size": 50, "by_epoch": True}
    config.load_from, config.resume = None, False


def _heads(model: ConfigDict) -> Iterator[ConfigDict]:
    """The heads of a model config that predict the data set's classes, depth first."""
    for key in HEADS:
        value = model.get(key)
        for head in value if isinstance(value, list) else [value]:
            if isinstance(head, dict):
                yield head
                yield from _heads(head)


def innermost(dataset: ConfigDict) -> tuple[ConfigDict, int]:
    """The data set inside repeating wrappers, and how often they repeat it."""
    times = 1
    while "dataset" in dataset:
        times *= dataset.get("times", 1)
        dataset = dataset["dataset"]
    return dataset, times


def _check_own_pipelines(config: Config) -> None:
    """Refuse pipelines that the experiment's data cannot run through.

    Raises:
        UserError: The config has none, or one that mixes images.
    """
    remedy = "add pipeline.size, the width and height that images are fitted into"
    for mode in ("train", "test"):
        dataset = config.get(f"{mode}_dataloader", {}).get("dataset", {})
        if dataset.get("type") == "MultiImageMixDataset":
            raise UserError(config.filename, f"its {mode} pipeline mixes images", remedy)
        if not innermost(dataset)[0].get("pipeline"):
            raise UserError(config.filename, f"has no {mode} pipeline of its own", remedy)


def _workers(pipeline: ImagePipeline) -> dict[str, Any]:
    return {"num_workers": pipeline.workers, "persistent_workers": pipeline.workers > 0}


def _schedulers(
    config: Config, training: Training, epochs: int, own_epochs: int | None
) -> list[dict[str, Any]]:
    """Learning-rate schedulers: the experiment's, and the config's own where it says nothing."""
    own = config.get("param_scheduler") or []
    own = [own] if isinstance(own, dict) else list(own)
    warmup = [item for item in own if _is_warmup(item)]
    decay = [_stretched(item, epochs, own_epochs) for item in own if not _is_warmup(item)]
    if training.warmup_iterations is not None:
        end = training.warmup_iterations
        linear = {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "end": end}
        warmup = [linear] if end else []
    if training.decay_at is not None:
        milestones = sorted({max(1, round(part * epochs)) for part in training.decay_at})
        decay = [{"type": "MultiStepLR", "milestones": milestones, "gamma": 0.1, "end": epochs}]
    return [*warmup, *(item for item in decay if item is not None)]


def _is_warmup(scheduler: dict[str, Any]) -> bool:
    """Whether a scheduler raises the rate over the first iterations, whatever the epochs."""
    return not scheduler.get("by_epoch", True) and not scheduler.get("begin", 0)


def _stretched(
    scheduler: dict[str, Any], epochs: int, own_epochs: int | None
) -> dict[str, Any] | None:
    """A schedule made for ``own_epochs`` for ``epochs``; None if nothing is left of it."""
    if not scheduler.get("by_epoch", True) or not own_epochs or own_epochs == epochs:
        return scheduler
    factor = epochs / own_epochs
    scaled = dict(scheduler)
    for key in ("begin", "end"):
        if scaled.get(key):
            scaled[key] = round(scaled[key] * factor)
    if scaled.get("begin", 0) >= scaled.get("end", epochs):
        return None
    if "T_max" in scaled:
        scaled["T_max"] = max(1, round(scaled["T_max"] * factor))
    if "milestones" in scaled:
        scaled["milestones"] = [max(1, round(epoch * factor)) for epoch in scaled["milestones"]]
    return scaled


def without_pretrained(model: ConfigDict) -> ConfigDict:
    """A copy of a model config in which no part fetches weights to start from."""
    return ConfigDict(
        {
            key: without_pretrained(value) if isinstance(value, dict) else value
            for key, value in model.items()
            if not _is_pretrained(key, value)
        }
    )


def _is_pretrained(key: str, value: Any) -> bool:
    """Whether a model config's item names weights, in MMEngine's way or the older one."""
    return key == "pretrained" or (
        key == "init_cfg" and isinstance(value, dict) and "checkpoint" in value
    )
