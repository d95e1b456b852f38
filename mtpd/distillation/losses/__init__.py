"""Distillation losses: one module each; their settings are in ``mtpd.experiment.losses``.

A loss is a module that is built from its settings and the channels of the paired levels, and is
called with the student's and the teacher's maps, finest level first, each (N, C, H, W) in float32.
It gives one scalar, already multiplied with its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from torch import nn

from mtpd.distillation.losses.channel_wise import ChannelWiseLoss
from mtpd.distillation.losses.feature_matching import FeatureMatchingLoss
from mtpd.experiment.losses import ChannelWise, FeatureMatching, Loss, LossSettings

LOSSES: dict[type[LossSettings], Any] = {
    FeatureMatching: FeatureMatchingLoss,
    ChannelWise: ChannelWiseLoss,
}


def build_loss(
    settings: dict[str, Any] | LossSettings,
    student_channels: Sequence[int],
    teacher_channels: Sequence[int],
) -> nn.Module:
    """The loss that ``settings`` (its ``type`` and arguments) describe."""
    checked = TypeAdapter(Loss).validate_python(settings)
    return LOSSES[type(checked)](checked, student_channels, teacher_channels)
