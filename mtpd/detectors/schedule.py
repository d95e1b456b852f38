"""Epochs, optimiser and learning rates of a training: the experiment's, or the config's own."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config, ConfigDict

from mtpd.errors import UserError
from mtpd.settings.experiment import Training

EPOCHS_OF_HOOKS = ("switch_epoch", "num_last_epochs", "begin_epoch")
"""Arguments of hooks that count epochs: of PipelineSwitchHook, YOLOXModeSwitchHook and EMAHook."""


def schedule_config(config: Config, where: str, training: Training) -> None:
    """Set optimiser, learning-rate schedule and epochs; what is not given stays as it was."""
    own_epochs = config.get("train_cfg", {}).get("max_epochs")
    epochs = training.epochs or own_epochs
    if epochs is None:
        raise UserError(where, "the number of epochs is not given", "add training.epochs")
    config.train_cfg = {
        "type": "ResumableTrainLoop",
        "max_epochs": epochs,
        "val_interval": training.validate_every or 1,
    }
    wrapper = config.get("optim_wrapper", ConfigDict())
    if training.optimizer is not None:
        wrapper.optimizer = ConfigDict(training.optimizer)
    if "optimizer" not in wrapper:
        raise UserError(where, "the optimiser is not given", "add training.optimizer")
    if training.clip_grad_norm is not None:
        wrapper.clip_grad = {"max_norm": training.clip_grad_norm, "norm_type": 2}
    if training.amp is not None or "type" not in wrapper:
        wrapper.type = "AmpOptimWrapper" if training.amp else "OptimWrapper"
        if not training.amp:
            for key in ("dtype", "loss_scale"):  # of mixed precision alone
                wrapper.pop(key, None)
    config.optim_wrapper = wrapper
    config.param_scheduler = _schedulers(config, training, epochs, own_epochs)
    if own_epochs and own_epochs != epochs:
        factor = epochs / own_epochs
        config.custom_hooks = [_hook(hook, factor) for hook in config.get("custom_hooks", [])]
    # The config's own says which batch its rate is made for; here the experiment does.
    config.auto_scale_lr = {
        "enable": training.lr_for_batch is not None,
        "base_batch_size": training.lr_for_batch or 1,
    }


def _hook(hook: dict[str, Any], factor: float) -> dict[str, Any]:
    """A hook of the config's own that acts from an epoch on, in a schedule ``factor`` as long."""
    stretched = {key: max(1, round(hook[key] * factor)) for key in EPOCHS_OF_HOOKS if hook.get(key)}
    return {**hook, **stretched}


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
