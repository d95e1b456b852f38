"""Opening the models that a person names."""

from __future__ import annotations

from mtpd.detectors.found import Detector
from mtpd.detectors.inference import load_detector
from mtpd.errors import UserError
from mtpd.overview.models import Model


def open_detector(
    model: Model, device: str = "auto", score_threshold: float | None = None
) -> Detector:
    """The detector of ``model``; ``device`` and ``score_threshold`` as for
    :func:`~mtpd.detectors.inference.load_detector`.

    Raises:
        UserError: It cannot be loaded.
    """
    if model.config is None:
        raise UserError(model.name, "is ONNX", "give the weights that it was made from")
    return load_detector(model.weights, model.config, device, score_threshold)
