"""What training and evaluation have written of a model, read back for tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError, model_validator

from mtpd.errors import UserError
from mtpd.files import read_json
from mtpd.layout import Layout, ModelFolder

DISTILLATION_LOSS = "loss_distill_"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Epoch(_Record):
    """One epoch: its iterations, mean losses, validation figures as fractions, and its time."""

    iterations: int
    train: dict[str, float]
    val: dict[str, float | None] = {}
    train_seconds: FiniteFloat | None = None

    @property
    def detection_loss(self) -> float:
        """Mean of the student's own losses, without those of distillation."""
        own = [name for name in self.train if "loss" in name and name != "loss"]
        return sum(self.train[name] for name in own if not name.startswith(DISTILLATION_LOSS))


class History(_Record):
    """``history.json``; without epochs for weights that were not trained here."""

    epochs: tuple[Epoch, ...]
    images_per_step: int | None = None


class Metrics(_Record):
    """``metrics.json``: fractions by split; None where there was nothing to measure."""

    splits: dict[str, dict[str, FiniteFloat | None]]
    reported_split: str
    parameters: FiniteFloat | None = None
    flops: FiniteFloat | None = None
    flops_image_size: Any = None
    latency_ms: FiniteFloat | None = None
    latency_device: str | None = None
    streaming_latency_ms: FiniteFloat | None = None
    seed: int | None = None
    config_hash: str | None = None
    weights_sha256: str | None = None

    @model_validator(mode="after")
    def _reports_a_split(self) -> Metrics:
        if self.reported_split not in self.splits:
            raise ValueError(f"there is no split {self.reported_split!r}")
        return self

    def value(self, metric: str) -> float | None:
        """A figure of the reported split, or of the model; None where it was not measured."""
        if metric in type(self).model_fields:
            return getattr(self, metric)
        return self.splits[self.reported_split].get(metric)


class Costs(_Record):
    """``costs.json``: normalised costs ``[source][target]``, and 95 % intervals around them."""

    costs: dict[str, dict[str, FiniteFloat]]
    intervals: dict[str, dict[str, tuple[FiniteFloat, FiniteFloat]]] = {}


def read_metrics(folder: ModelFolder) -> Metrics | None:
    """A model's metrics; None: it has not been evaluated yet.

    Raises:
        UserError: The file is not what the evaluate step writes.
    """
    return _read(folder.metrics, Metrics, "evaluate")


def read_history(folder: ModelFolder) -> History | None:
    """A model's history; None: its training has not ended yet.

    Raises:
        UserError: The file is not what the training step writes.
    """
    return _read(folder.history, History, "training")


def read_costs(layout: Layout) -> Costs | None:
    """Costs between an experiment's detectors; None: not computed yet.

    Raises:
        UserError: The file is not what the costs step writes.
    """
    return _read(layout.costs, Costs, "costs")


Record = TypeVar("Record", bound=_Record)


def _read(path: Path, kind: type[Record], step: str) -> Record | None:
    if not path.exists():
        return None
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        said = f"{key or 'file'}: {first['msg'].lower()}"
        problem = f"does not have the form that the {step} step writes ({said})"
        raise UserError(path, problem, f"run the {step} step again") from error
