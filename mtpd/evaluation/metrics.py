"""The figures that models are compared by: their keys in the files, units and names."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Metric:
    """One figure of a model.

    Attributes:
        title: As a figure's axis is labelled.
        unit: Of shown and published values; empty: none.
        scale: What the value in the file is multiplied by to be in ``unit``.
        decimals: Of a shown value.
    """

    title: str
    unit: str
    scale: Fraction
    decimals: int

    def in_unit(self, value: float) -> float:
        """A value of the file in ``unit``."""
        return value * self.scale.numerator / self.scale.denominator


def _percent(title: str) -> Metric:
    return Metric(title, "%", Fraction(100), 1)


_COCO = {
    "mAP": "AP",
    "mAP_50": "AP50",
    "mAP_75": "AP75",
    "mAP_s": "AP small",
    "mAP_m": "AP medium",
    "mAP_l": "AP large",
    "AR_1": "AR1",
    "AR_10": "AR10",
    "AR_100": "AR100",
    "AR_s": "AR small",
    "AR_m": "AR medium",
    "AR_l": "AR large",
}

STREAMING: dict[str, Metric] = {
    "sAP": _percent("sAP"),
    "sAP_50": _percent("sAP50"),
    "sAP_75": _percent("sAP75"),
    "sAP_s": _percent("sAP small"),
    "sAP_m": _percent("sAP medium"),
    "sAP_l": _percent("sAP large"),
}
"""Those that depend on the detector's latency."""

SPLIT_METRICS: dict[str, Metric] = {
    **{f"bbox_{key}": _percent(f"box {title}") for key, title in _COCO.items()},
    **{f"segm_{key}": _percent(f"mask {title}") for key, title in _COCO.items()},
    **STREAMING,
    "crowd_AP": _percent("AP"),
    "crowd_MR": _percent("MR (lower is better)"),
    "crowd_JI": _percent("JI"),
}
"""Fractions of a split in ``metrics.json``, by their keys there."""

MODEL_METRICS: dict[str, Metric] = {
    "parameters": Metric("parameters", "M", Fraction(1, 10**6), 2),
    "flops": Metric("multiply-accumulates", "G", Fraction(1, 10**9), 1),
    "latency_ms": Metric("latency", "ms", Fraction(1), 1),
}
"""What ``metrics.json`` says of a model whatever the split, by their keys there."""

TRAINING_LOSS = "training_loss"
"""The last epoch's mean detection loss, without distillation losses, from ``history.json``."""

METRICS: dict[str, Metric] = {
    **SPLIT_METRICS,
    **MODEL_METRICS,
    TRAINING_LOSS: Metric("training loss", "", Fraction(1), 3),
}
"""All of them."""
