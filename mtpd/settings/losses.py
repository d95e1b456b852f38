"""Settings of the distillation losses: one class for each, found by its ``type``.

The modules that compute them are in :mod:`mtpd.distillation.losses`; the settings stand apart so
that an experiment is checked without importing torch. A setting that is left out takes the value
published for the kind of student at hand: :meth:`LossSettings.completed`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

ONE_STAGE, TWO_STAGE = "one-stage", "two-stage"
IN_THE_HEAD = ("pgd", "ld", "bckd")
"""Types of the losses that look at a dense head, and not at the maps of the neck."""

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Temperature = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class LossSettings(BaseModel):
    """Base of all loss settings.

    Attributes:
        published: Published values of the settings that may be left out, by the class of the
            student's head or by its kind (``one-stage``, ``two-stage``); the head goes first.
        revision: Counts how often the same settings have come to mean another loss, so that a stage
            is not taken for one of an earlier version.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    published: ClassVar[dict[str, dict[str, Any]]] = {}
    revision: ClassVar[int] = 0

    def completed(self, kind: str, head: str) -> Self:
        """These settings with the published value of everything that was left out.

        Args:
            kind: The student's kind.
            head: Class of the student's head.
        """
        values = self.published.get(head, self.published.get(kind, {}))
        missing = {key: value for key, value in values.items() if getattr(self, key) is None}
        return self.model_copy(update=missing)


class FeatureMatching(LossSettings):
    """Mean squared difference of the maps (Cao et al. 2023, the simple loss)."""

    published = {ONE_STAGE: {"weight": 0.5}, TWO_STAGE: {"weight": 0.8}}

    type: Literal["feature_matching"]
    weight: Weight | None = Field(
        default=None, description="λ; published: 0.5 one-stage, 0.8 two-stage students"
    )


class ChannelWise(LossSettings):
    """Channel-wise distillation, CWD (Shu et al., ICCV 2021)."""

    type: Literal["cwd"]
    weight: Weight = Field(default=10.0, description="Published: 10 on FPN maps")
    temperature: Temperature = Field(default=1.0, description="τ; published: 1")


class PearsonCorrelation(LossSettings):
    """Distillation by Pearson correlation, PKD (Cao et al., NeurIPS 2022)."""

    published = {ONE_STAGE: {"weight": 10.0, "levels": 4}, TWO_STAGE: {"weight": 6.0, "levels": 4}}
    revision = 1  # at first all levels, and a weight of 10 for every student

    type: Literal["pkd"]
    weight: Weight | None = Field(
        default=None,
        description="Published: 10 one-stage, 6 two-stage students and RetinaNet from Mask R-CNN",
    )
    levels: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="How many of the paired levels, the finest first; published: 4"
    )


class MaskedGeneration(LossSettings):
    """Masked generative distillation, MGD (Yang et al., ECCV 2022)."""

    published = {
        ONE_STAGE: {"weight": 2e-5, "mask_ratio": 0.65},
        TWO_STAGE: {"weight": 5e-7, "mask_ratio": 0.45},
    }

    type: Literal["mgd"]
    weight: Weight | None = Field(
        default=None, description="α; published: 2e-5 one-stage, 5e-7 two-stage students"
    )
    mask_ratio: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None, description="λ, the share of positions set to zero; published: 0.65 and 0.45"
    )


class FocalGlobal(LossSettings):
    """Focal and global distillation, FGD (Yang et al., CVPR 2022)."""

    published = {
        ONE_STAGE: {
            "alpha": 1e-3, "beta": 5e-4, "gamma": 5e-4, "lambda_global": 5e-6, "temperature": 0.5
        },
        "RepPointsHead": {
            "alpha": 1.6e-3, "beta": 8e-4, "gamma": 8e-4, "lambda_global": 8e-6, "temperature": 0.5
        },
        "FCOSHead": {
            "alpha": 1.6e-3, "beta": 8e-4, "gamma": 8e-4, "lambda_global": 8e-6, "temperature": 0.8
        },
        TWO_STAGE: {
            "alpha": 5e-5, "beta": 2.5e-5, "gamma": 5e-5, "lambda_global": 5e-7, "temperature": 0.5
        },
    }  # fmt: skip

    type: Literal["fgd"]
    alpha: Weight | None = Field(
        default=None,
        description="Foreground; published: 1e-3, RepPoints and FCOS 1.6e-3, two-stage 5e-5",
    )
    beta: Weight | None = Field(
        default=None,
        description="Background; published: 5e-4, RepPoints and FCOS 8e-4, two-stage 2.5e-5",
    )
    gamma: Weight | None = Field(
        default=None,
        description="Attention; published: 5e-4, RepPoints and FCOS 8e-4, two-stage 5e-5",
    )
    lambda_global: Weight | None = Field(
        default=None, description="Global; published: 5e-6, RepPoints and FCOS 8e-6, two-stage 5e-7"
    )
    temperature: Temperature | None = Field(
        default=None, description="t of the attention; published: 0.5, FCOS 0.8"
    )


class PredictionGuided(LossSettings):
    """Prediction-guided distillation in the head's towers, PGD (Yang et al., ECCV 2022)."""

    published = {
        "FCOSHead": {"alpha": 0.04, "temperature": 0.8, "positions": 30},
        "AutoAssignHead": {"alpha": 0.08, "temperature": 0.4, "positions": 30},
        "ATSSHead": {"alpha": 0.08, "temperature": 0.8, "positions": 9},
        "GFLHead": {"alpha": 0.04, "temperature": 0.8, "positions": 30},
        "DDODHead": {"alpha": 0.08, "temperature": 0.8, "positions": 30},
    }

    type: Literal["pgd"]
    reading: Literal["text", "release"] = Field(
        default="text",
        description="As the paper's text has it, or with the departures of its released code",
    )
    alpha: Weight | None = Field(
        default=None,
        description=(
            "Foreground, classification branch; published: 0.04 FCOS and GFL, "
            "0.08 AutoAssign, ATSS and DDOD; 0.001 DDOD on CrowdHuman"
        ),
    )
    beta: Weight | None = Field(
        default=None, description="Background, classification branch; published: alpha / 2"
    )
    gamma: Weight | None = Field(
        default=None, description="Regression branch; published: 1.6 · alpha"
    )
    delta: Weight = Field(default=8e-4, description="Attention, both branches; published: 8e-4")
    temperature: Temperature | None = Field(
        default=None, description="t of the attention; published: 0.8, AutoAssign 0.4"
    )
    xi_classification: Share = Field(
        default=0.8, description="ξ of the classification branch's quality; published: 0.8"
    )
    xi_regression: Share = Field(
        default=0.6, description="ξ of the regression branch's quality; published: 0.6"
    )
    positions: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="K, best positions of a box; published: 30, ATSS 9"
    )

    def completed(self, kind: str, head: str) -> Self:
        """As of every loss; ``beta`` and ``gamma`` follow ``alpha``."""
        settings = super().completed(kind, head)
        if settings.alpha is None:
            return settings
        derived = {"beta": settings.alpha / 2, "gamma": 1.6 * settings.alpha}
        missing = {key: v for key, v in derived.items() if getattr(settings, key) is None}
        return settings.model_copy(update=missing)


class LocalizationDistillation(LossSettings):
    """Localisation distillation between distributions, LD (Zheng et al., CVPR 2022)."""

    type: Literal["ld"]
    weight: Weight = Field(default=0.25, description="Published: 0.25")
    temperature: Temperature = Field(default=10.0, description="τ; published: 10")


class BinaryClassification(LossSettings):
    """Of what dense heads predict for classes and boxes, BCKD (Yang et al., ICCV 2023)."""

    type: Literal["bckd"]
    classification: Weight = Field(default=1.0, description="α₁, of the classes; published: 1")
    localization: Weight = Field(default=4.0, description="α₂, of the boxes; published: 4")


Loss = Annotated[
    FeatureMatching
    | ChannelWise
    | PearsonCorrelation
    | MaskedGeneration
    | FocalGlobal
    | PredictionGuided
    | LocalizationDistillation
    | BinaryClassification,
    Field(discriminator="type"),
]
