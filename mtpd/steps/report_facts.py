"""What the report says of how everything was made: times, versions, hashes, data, licences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

from mtpd.files import read_json
from mtpd.layout import ModelFolder
from mtpd.reporting.page.content import Cell, Column, Table
from mtpd.steps.context import Context

DASH = "–"
NOT_STATED = "not stated"
PACKAGES = ("torch", "torchvision", "mmdet", "mmengine", "mmcv-lite", "pycocotools", "snakemake")
"""Whose licences are shown: those that results are made with."""


def facts(context: Context, models: Mapping[str, ModelFolder]) -> tuple[Table, ...]:
    """Tables of all that; ``models`` are those that the experiment trains, by their titles."""
    metrics = {
        title: read_json(folder.metrics)
        for title, folder in models.items()
        if folder.metrics.is_file()
    }
    tables = (
        _times(models),
        _hashes(metrics),
        _versions(metrics.values()),
        _data(context),
        _licences(context),
    )
    return tuple(table for table in tables if table.rows)


def _times(models: Mapping[str, ModelFolder]) -> Table:
    """A row for each training that was done here."""
    rows = []
    for title, folder in models.items():
        history = read_json(folder.history) if folder.history.is_file() else {"epochs": []}
        epochs = history["epochs"]
        if epochs:
            seconds = sum(epoch["train_seconds"] for epoch in epochs)
            steps = sum(epoch["iterations"] for epoch in epochs)
            memory = history.get("peak_memory_mib")
            images = history.get("images_per_step")
            each = seconds / max(1, steps)
            rows.append((title, len(epochs), steps, images, seconds / 60, each, memory))
    total = sum(row[4] for row in rows)
    cells = [
        (
            Cell(title),
            _count(epochs),
            _count(steps),
            _count(images),
            Cell(f"{minutes:.1f}", minutes),
            Cell(f"{each:.3f}", each),
            _count(memory),
        )
        for title, epochs, steps, images, minutes, each, memory in rows
    ]
    columns = (
        Column("training"),
        Column("epochs", True),
        Column("steps", True),
        Column("images per step", True),
        Column("minutes", True, "without validation"),
        Column("seconds per step", True),
        Column("peak memory, MiB", True),
    )
    name = f"Training times: {total:.1f} minutes in all, validation left out"
    return Table(name, columns, tuple(cells))


def _hashes(metrics: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = [
        (
            Cell(title),
            _count(one.get("seed")),
            Cell(str(one.get("latency_device") or DASH)),
            Cell(str(one.get("config_hash") or DASH), is_hash=True),
            Cell(str(one.get("weights_sha256") or DASH), is_hash=True),
        )
        for title, one in metrics.items()
    ]
    columns = (
        Column("model"),
        Column("seed", True),
        Column("latency measured on"),
        Column("settings", note="hash of the training's settings"),
        Column("SHA-256 of the weights"),
    )
    return Table("Models", columns, tuple(rows))


def _versions(metrics: Iterable[Mapping[str, Any]]) -> Table:
    """Versions that evaluated the models; more than one of a package where they differ."""
    found: dict[str, dict[str, None]] = {}
    for one in metrics:
        for package, version in one.get("versions", {}).items():
            found.setdefault(package, {})[version] = None
    rows = tuple((Cell(name), Cell(", ".join(versions))) for name, versions in found.items())
    return Table("Versions", (Column("package"), Column("version")), rows)


def _data(context: Context) -> Table:
    rows = [
        (
            Cell(name),
            _count(split.n_images),
            _count(split.n_boxes),
            Cell(split.sha256, is_hash=True),
        )
        for name, split in context.dataset.splits.items()
    ]
    columns = (
        Column("split"),
        Column("images", True),
        Column("boxes", True),
        Column("SHA-256 of the annotations"),
    )
    return Table("Data", columns, tuple(rows))


def _licences(context: Context) -> Table:
    rows = [("mtpd", _licence_of("mtpd"), "program")]
    rows += [(package, _licence_of(package), "package") for package in PACKAGES]
    rows += [(f"data, {name}", licence, "annotations") for name, licence in _of_data(context)]
    for name in context.experiment.detectors:
        detector = context.experiment.detector(name)
        given = detector.weights or detector.start_from
        if given is not None:
            source = given if given == "zoo" or "://" in given else "a file"
            rows.append((f"weights of {name}", "as their publisher says", source))
    columns = (Column("what"), Column("licence"), Column("where from"))
    return Table("Licences", columns, tuple(tuple(map(Cell, row)) for row in rows))


def _of_data(context: Context) -> Iterator[tuple[str, str]]:
    """Licences that annotations name: of the evaluated splits, as those of train may be large."""
    for name in dict.fromkeys(("val", context.dataset.reported)):
        annotations = read_json(context.dataset.splits[name].annotations)
        named: Sequence[Any] = annotations.get("licenses") or ()
        names = dict.fromkeys(str(one["name"]) for one in named if one.get("name"))
        yield name, ", ".join(names) or NOT_STATED


def _licence_of(package: str) -> str:
    """Licence of an installed package, as its metadata states it."""
    try:
        found = metadata(package)
    except PackageNotFoundError:
        return NOT_STATED
    kinds = [one for one in found.get_all("Classifier") or () if one.startswith("License ::")]
    stated = [kind.rpartition(" :: ")[2] for kind in kinds]
    named = [*(found.get_all("License-Expression") or ()), *stated]
    text = (named or found.get_all("License") or [NOT_STATED])[0]
    return str(text).strip().splitlines()[0]


def _count(number: int | None) -> Cell:
    return Cell(DASH) if number is None else Cell(f"{number:,}", number)
