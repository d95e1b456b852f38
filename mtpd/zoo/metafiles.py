"""What MMDetection publishes: one record for each model of its metafiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from mtpd.detectors.sources import config_file

PACKAGE = "mmdet"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Record:
    """A published model.

    Attributes:
        config: As an experiment names it, ``mmdet::folder/name.py``.
        weights: Address of the weights; None: they are not published.
        dataset: What the figures were measured on.
        box_ap: In percent; None: not published, and so for the others.
        mask_ap: In percent.
        epochs: Of the training.
        memory_gb: Of one GPU while training.
    """

    config: str
    weights: str | None
    dataset: str | None = None
    box_ap: float | None = None
    mask_ap: float | None = None
    epochs: int | None = None
    memory_gb: float | None = None


@dataclass(frozen=True)
class Metafiles:
    """All records by their config, and what is wrong in the metafiles, a line each."""

    records: dict[str, Record]
    problems: tuple[str, ...]


@cache
def published() -> Metafiles:
    """What the installed MMDetection's metafiles list; nothing if it is not installed."""
    return read_metafiles(config_file(f"{PACKAGE}::"))


def read_metafiles(configs: Path) -> Metafiles:
    """Read ``*/metafile.yml`` below the folder ``configs``.

    What is wrong there is reported and left out, or mended where it is plain what was meant.
    """
    records: dict[str, Record] = {}
    problems: list[str] = []
    for path in sorted(configs.glob("**/metafile.yml")):
        try:
            raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
            models = raw["Models"] if isinstance(raw, dict) else raw
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError) as error:
            problems.append(f"{path}: cannot be read ({' '.join(str(error).split())})")
            continue
        for model in models if isinstance(models, list) else []:
            found = _record(configs, path, model, problems)
            if found is None:
                continue
            known = records.setdefault(found.config, found)
            if known.weights != found.weights:
                problems.append(f"{path}: {found.config} stands twice; {known.weights} is taken")
    return Metafiles(records, tuple(problems))


def search(
    records: dict[str, Record],
    words: Sequence[str] = (),
    min_box_ap: float | None = None,
    min_mask_ap: float | None = None,
) -> list[Record]:
    """Records of detectors with every word in config or weights, best box AP first."""
    found = [
        record
        for record in records.values()
        if (record.box_ap is not None or record.mask_ap is not None)
        and all(word.lower() in f"{record.config} {record.weights}".lower() for word in words)
        and (min_box_ap is None or (record.box_ap or 0) >= min_box_ap)
        and (min_mask_ap is None or (record.mask_ap or 0) >= min_mask_ap)
    ]
    return sorted(found, key=lambda record: (-(record.box_ap or 0), record.config))


def _record(configs: Path, path: Path, model: Any, problems: list[str]) -> Record | None:
    """The record of one entry of the metafile ``path``; None if it names no config."""
    if not isinstance(model, dict) or not isinstance(model.get("Config"), str):
        problems.append(f"{path}: an entry names no config")
        return None
    config = _config(configs, path, model["Config"], problems)
    if config is None:
        return None
    weights = model.get("Weights")
    if weights is not None and not isinstance(weights, str):
        problems.append(f"{path}: {config} lists several weights; none is taken")
        weights = None
    metadata = model.get("Metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    figures = dict(_figures(model.get("Results")))
    return Record(
        config=f"{PACKAGE}::{config}",
        weights=weights,
        dataset=figures.get("dataset"),
        box_ap=_number(figures.get("box AP")),
        mask_ap=_number(figures.get("mask AP")),
        epochs=metadata["Epochs"] if isinstance(metadata.get("Epochs"), int) else None,
        memory_gb=_number(metadata.get("Training Memory (GB)")),
    )


def _config(configs: Path, path: Path, named: str, problems: list[str]) -> str | None:
    """The config that an entry means, relative to ``configs``; None if there is no such file."""
    plain = unquote(named)
    relative = plain.removeprefix("configs/")
    for candidate in (relative, str((path.parent / Path(plain).name).relative_to(configs))):
        if (configs / candidate).is_file():
            if f"configs/{candidate}" != named:
                problems.append(f"{path}: '{named}' is configs/{candidate}")
            return candidate
    problems.append(f"{path}: there is no config '{named}'")
    return None


def _figures(results: Any) -> Iterator[tuple[str, Any]]:
    """Figures of an entry by name, with the data set that they were measured on."""
    for result in results if isinstance(results, list) else []:
        metrics = result.get("Metrics") if isinstance(result, dict) else None
        if isinstance(metrics, dict):
            yield from metrics.items()
            yield "dataset", result.get("Dataset")


def _number(value: Any) -> float | None:
    """``value`` if it is a number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None
