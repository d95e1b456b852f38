"""One stage of a chain: the previous stage's student learns from one teacher."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mtpd.chains import Chain
from mtpd.files import digest_of, read_json
from mtpd.steps.configs import stage_config
from mtpd.steps.context import Context

logger = logging.getLogger(__name__)


def train_stage(context: Context, method: str, chain: Chain) -> None:
    """Train the last stage of ``chain`` and write the student alone."""
    recipe, config = context.recipes.stage(method, chain), stage_config(context, method, chain)
    options: dict[str, Any] = {}
    if chain.last.teacher is not None:
        names = context.experiment.student.name, chain.last.teacher
        options["anatomies"] = _anatomies([context.layout.detector(name).check for name in names])
        obstacle = _obstacle(context, method, config)
        if obstacle is None:
            options["teacher_maps"] = _teacher_maps(context, method, chain, config)
        else:
            logger.info("the teacher sees every batch: %s", obstacle)
    context.train(config, recipe.task, context.layout.stage(method, str(chain)), options)


def _anatomies(checks: list[Path]) -> list[dict[str, Any]] | None:
    """What the checks found of student and teacher; None where they know less than is needed."""
    found = [read_json(check) for check in checks if check.exists()]
    levels = [level for each in found for level in each.get("levels", [])]
    # What an earlier version wrote does not say which levels are only pooled.
    is_known = len(found) == len(checks) and all("subsampled" in level for level in levels)
    return found if is_known else None


def _obstacle(context: Context, method: str, config: Config) -> str | None:
    """Why the teacher's maps cannot be kept; None: they can."""
    by_settings = context.experiment.maps_not_kept(method)
    if by_settings is not None:
        return by_settings
    if not context.has_one_size:
        return "training images have several sizes"
    if config.model.student.data_preprocessor.get("batch_augments"):
        return "the student's data_preprocessor has batch_augments"
    return None


def _teacher_maps(context: Context, method: str, chain: Chain, config: Config) -> dict[str, Any]:
    """Arguments of :class:`~mtpd.distillation.teacher_maps.TeacherMaps`."""
    chosen, sides = context.experiment.method(method), context.experiment.pipeline.sides
    settings = chosen.teacher
    split = context.dataset.splits["train"]
    weights = context.recipes.stage(method, chain).path("teacher")
    assert weights is not None, "the stage has a teacher"
    batch_size = config.train_dataloader.batch_size
    key = {
        "teacher": config.model.teacher.to_dict(),
        "weights": context.recipes.digests.of(Path(weights)),
        "images": [split.sha256, split.sample_sha256],
        "pipeline": [config.train_pipeline, batch_size, sides],
        "preprocessor": config.model.student.data_preprocessor.to_dict(),
        "precision": [settings.precision, *map(config.optim_wrapper.get, ("type", "dtype"))],
        "layout": [settings.channels_last, settings.compile],
        "tap": chosen.tap,
    }
    return {
        "folder": str(context.store.teacher_maps.absolute()),
        "key": digest_of(key),
        "annotations": str(split.annotations),
        "batch_size": batch_size,
        "sides": sides,
        "limit_gb": settings.cache_gb,
    }
