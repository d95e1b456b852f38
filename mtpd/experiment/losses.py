"""Settings of the distillation losses: one class for each, found by its ``type``.

The modules that compute them are in :mod:`mtpd.distillation.losses`; the settings stand apart so
that an experiment is checked without importing torch.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class LossSettings(BaseModel):
    """Base of all loss settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureMatching(LossSettings):
    """Mean squared difference of the maps (Cao et al. 2023, the simple loss)."""

    type: Literal["feature_matching"]
    weight: float = Field(
        default=0.5, ge=0, description="λ; published: 0.5 one-stage, 0.8 two-stage students"
    )


class ChannelWise(LossSettings):
    """Channel-wise distillation (Shu et al. 2021)."""

    type: Literal["cwd"]
    weight: float = Field(default=10.0, ge=0, description="Published: 10 on FPN maps")
    temperature: float = Field(default=1.0, gt=0, description="τ; published: 1")


Loss = Annotated[FeatureMatching | ChannelWise, Field(discriminator="type")]
