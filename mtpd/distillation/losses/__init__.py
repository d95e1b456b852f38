"""Distillation losses: one module each; their settings are in ``mtpd.settings.losses``.

A further loss is one class of settings, one module here, and one line in :data:`LOSSES`.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from mtpd.distillation.losses.base import DistillationLoss
from mtpd.distillation.losses.binary_classification import BinaryClassificationLoss
from mtpd.distillation.losses.channel_wise import ChannelWiseLoss
from mtpd.distillation.losses.feature_matching import FeatureMatchingLoss
from mtpd.distillation.losses.focal_global import FocalGlobalLoss
from mtpd.distillation.losses.localization import LocalizationLoss
from mtpd.distillation.losses.masked_generation import MaskedGenerationLoss
from mtpd.distillation.losses.pearson_correlation import PearsonCorrelationLoss
from mtpd.distillation.losses.prediction_guided import PredictionGuidedLoss
from mtpd.distillation.pairing import Pair
from mtpd.settings.losses import (
    BinaryClassification,
    ChannelWise,
    FeatureMatching,
    FocalGlobal,
    LocalizationDistillation,
    Loss,
    LossSettings,
    MaskedGeneration,
    PearsonCorrelation,
    PredictionGuided,
)

LOSSES: dict[type[LossSettings], Any] = {
    FeatureMatching: FeatureMatchingLoss,
    ChannelWise: ChannelWiseLoss,
    PearsonCorrelation: PearsonCorrelationLoss,
    MaskedGeneration: MaskedGenerationLoss,
    FocalGlobal: FocalGlobalLoss,
    PredictionGuided: PredictionGuidedLoss,
    LocalizationDistillation: LocalizationLoss,
    BinaryClassification: BinaryClassificationLoss,
}


def completed(settings: dict[str, Any] | LossSettings, pair: Pair) -> Any:
    """Checked settings with what is published for the pair's student where they say nothing."""
    checked = TypeAdapter(Loss).validate_python(settings)  # passes settings classes as they are
    return checked.completed(pair.student.anatomy.kind, pair.student.anatomy.head)


def build_loss(settings: dict[str, Any] | LossSettings, pair: Pair) -> DistillationLoss:
    """The loss that ``settings`` (its ``type`` and arguments) describe, :func:`completed`.

    Raises:
        UserError: The loss cannot work between the two detectors.
    """
    full = completed(settings, pair)
    loss: DistillationLoss = LOSSES[type(full)](full, pair.student, pair.teacher)
    return loss
