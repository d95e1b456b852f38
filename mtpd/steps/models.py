"""Opening the models that a person names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mtpd.data.inspection import Progress
from mtpd.detectors.found import Detector
from mtpd.detectors.handed_on import load_onnx
from mtpd.detectors.inference import load_detector
from mtpd.detectors.own_config import has_masks
from mtpd.detectors.reading import read_config
from mtpd.errors import UserError
from mtpd.evaluation.coco import Kind
from mtpd.overview.models import Model
from mtpd.steps.context import Context
from mtpd.steps.detections import Item, SplitData, detections_of_model, split_data

logger = logging.getLogger(__name__)


def open_detector(
    model: Model, device: str = "auto", score_threshold: float | None = None
) -> Detector:
    """The detector of ``model``, computed by PyTorch, or by ONNX Runtime if it is an ONNX file.

    Args:
        model: Where its files are.
        device: As torch calls it; ``auto``: a GPU if there is one.
        score_threshold: Let it give detections down to this score, where that is possible.

    Raises:
        UserError: It cannot be loaded.
    """
    if model.config is not None:
        return load_detector(model.weights, model.config, device, score_threshold)
    detector = load_onnx(model.weights, device)
    lowest = detector.description.score_threshold
    if score_threshold is not None and score_threshold < lowest:
        logger.warning("%s gives no score below %g: it was exported so", model.name, lowest)
    return detector


def experiment_of(models: Sequence[Model], given: str | None) -> str:
    """The experiment whose data models are measured on: the one given, or the first one named.

    Raises:
        UserError: There is none.
    """
    named = [model.experiment for model in models if model.experiment is not None]
    if given is None and not named:
        problem = "no model is named by its experiment, so the data are not known"
        raise UserError(models[0].name, problem, "give --experiment NAME")
    return given or named[0]


def detections_on(
    models: tuple[Model, Model],
    experiment: str,
    results: Path,
    split: str | None,
    device: str,
    batch: int,
    progress: Callable[[str], Progress],
) -> tuple[SplitData, tuple[dict[Kind, list[Item]], dict[Kind, list[Item]]]]:
    """The data of an experiment's split, and what two models find on it.

    Boxes; masks too, where the data and both models have them.

    Raises:
        UserError: The data are not prepared, or a model is for other classes.
    """
    context = Context.open(experiment, results)
    data = split_data(context.dataset, split)
    masks = data.has_masks and all(_has_masks(model) for model in models)
    kinds: list[Kind] = ["bbox", "segm"] if masks else ["bbox"]
    first, second = (
        detections_of_model(
            model,
            partial(open_detector, model, device),
            data,
            kinds,
            context.layout.experiment,
            batch,
            progress(model.name),
        )
        for model in models
    )
    return data, (first, second)


def _has_masks(model: Model) -> bool:
    if model.config is None:
        return load_onnx(model.weights).has_masks
    return has_masks(read_config(str(model.config)).model)
