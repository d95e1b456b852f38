"""What the models of a paper's table have been measured at so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev

from mtpd.evaluation.metrics import METRICS, MODEL_METRICS, STREAMING, TRAINING_LOSS
from mtpd.experiment import runs
from mtpd.overview.records import Metrics, read_history, read_metrics
from mtpd.papers.paper import Chains, Model, Reference, models, trained_parts
from mtpd.settings.experiment import Experiment


@dataclass(frozen=True)
class Measurement:
    """What the models of one cell were measured at.

    Attributes:
        values: One for each model that has been measured, in the metric's unit.
        models: How many there are to measure: several where a run has seeds.
        missing: Why some have no value; empty where all have.
        origin: What the values come from, such as the split and the epochs of the training.
    """

    values: tuple[float, ...]
    models: int
    missing: str = ""
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """Over the models; None where none has been measured."""
        return fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over the models; None for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else None

    def difference(self, published: float | None) -> float | None:
        """Measured less published; None where either is not there."""
        return None if published is None or self.mean is None else self.mean - published


@dataclass(frozen=True)
class Measurements:
    """All measurements there are.

    Attributes:
        experiments: By name.
        results: Folder of all results.
        chains: Those that are known by now.
    """

    experiments: Mapping[str, Experiment]
    results: Path
    chains: Chains

    def of(self, reference: Reference, metric: str) -> Measurement:
        """The values of a metric, one for each model of ``reference`` that has been measured.

        Raises:
            UserError: A file is not what its step writes.
        """
        experiment = self.experiments[reference.experiment]
        expected = 1 if reference.run is None else len(runs.members(experiment, reference.run))
        found = models(reference, experiment, self.chains)
        missing = [] if len(found) == expected else [self._why_no_model(reference)]
        values, origins = [], []
        for model in found:
            value = self._value(model, metric)
            if isinstance(value, str):
                missing.append(value)
            else:
                values.append(value)
                origins.append(self._origin(model, metric))
        keys = dict.fromkeys(key for origin in origins for key in origin)
        return Measurement(
            tuple(values),
            expected,
            "; ".join(dict.fromkeys(missing)),
            {
                key: "; ".join(dict.fromkeys(origin[key] for origin in origins if key in origin))
                for key in keys
            },
        )

    def _why_no_model(self, reference: Reference) -> str:
        experiment, chains = self.experiments[reference.experiment], self.chains
        members = runs.members(experiment, str(reference.run))
        if all(member in chains[reference.experiment] for member in members):
            return "the order that was chosen has fewer stages"
        return "the order of teachers is not decided yet"

    def _value(self, model: Model, metric: str) -> float | str:
        """The value in the metric's unit, or why there is none."""
        folder = model.folder(self.results)
        if metric == TRAINING_LOSS:
            history = read_history(folder)
            if history is None:
                return "not trained yet"
            return history.epochs[-1].detection_loss if history.epochs else "not trained here"
        metrics = read_metrics(folder)
        if metrics is None:
            return "not evaluated yet"
        value = metrics.value(metric)
        if value is None:
            return f"the evaluation gives no {metric}"
        return METRICS[metric].in_unit(value)

    def _origin(self, model: Model, metric: str) -> dict[str, str]:
        """Where a value comes from; what is not known is left out."""
        folder = model.folder(self.results)
        parts = trained_parts(model, self.experiments[model.experiment])
        histories = [read_history(part.folder(self.results)) for part in parts]
        lengths = [len(history.epochs) for history in histories if history is not None]
        own = histories[-1]
        origin: dict[str, object] = {
            "model": folder.path.relative_to(self.results),
            "epochs": "+".join(str(length) for length in lengths if length),
        }
        if own is not None:
            origin["iterations"] = sum(epoch.iterations for epoch in own.epochs)
            origin["images per step"] = own.images_per_step
        metrics = read_metrics(folder)
        if metric == TRAINING_LOSS:
            origin["split"] = "train"
        elif metrics is not None:
            origin |= _evaluation(metrics, metric)
        return {key: str(value) for key, value in origin.items() if value is not None}


def _evaluation(metrics: Metrics, metric: str) -> dict[str, object]:
    return {
        "split": None if metric in MODEL_METRICS else metrics.reported_split,
        "image size": metrics.flops_image_size if metric == "flops" else None,
        "device": metrics.latency_device if metric == "latency_ms" else None,
        "streaming latency (ms)": metrics.streaming_latency_ms if metric in STREAMING else None,
        "seed": metrics.seed,
        "settings hash": metrics.config_hash,
        "weights SHA-256": metrics.weights_sha256,
    }
