"""Reading an experiment, and saying in one line what is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mtpd.chains import check_name
from mtpd.detectors.sources import config_file
from mtpd.errors import UserError
from mtpd.experiment.runs import teachers_at_most
from mtpd.files import in_full
from mtpd.layout import RESERVED, Layout
from mtpd.settings.experiment import Detector, Experiment
from mtpd.settings.reading import explain, read_mapping
from mtpd.settings.runtime import CONFIG, EXPERIMENTS, workflow_settings
from mtpd.zoo.sources import remote_weights, weights_file

NAME_MAX = 255
"""Bytes that Linux' file systems take for a name."""


def experiment_path(name: str, folder: Path = EXPERIMENTS) -> Path:
    """Path of the YAML of the experiment called ``name``; it may not exist.

    One that ``folder`` does not have may be one of those that come with the workflow.
    """
    check_name(f"{CONFIG}: experiments", name)
    path = folder / f"{name}.yaml"
    shipped = workflow_settings().checkout / EXPERIMENTS / path.name
    return shipped if shipped.is_file() and not os.path.lexists(path) else path


def open_experiment(
    given: Path | str, results: Path | None = None, data_root: Path | None = None
) -> tuple[Experiment, Layout]:
    """Read and check an experiment; gives it, and where its results lie.

    The settings of ``config/config.yaml`` say what is not given here.

    Args:
        given: Path of its YAML file, or its name.
        results: Folder of all results.
        data_root: Takes the place of its ``data.root``.

    Raises:
        UserError: The experiment or the settings are wrong.
    """
    workflow, path = workflow_settings(), experiment_file(given)
    experiment = load_experiment(path, data_root or workflow.data_roots.get(path.stem))
    return experiment, Layout(results or workflow.results, path.stem)


def experiment_file(given: Path | str) -> Path:
    """Path of an experiment's YAML file, given so or by its name.

    Raises:
        UserError: The name is none.
    """
    path = Path(given)
    if path.suffix not in (".yaml", ".yml") and path == Path(path.name):
        return experiment_path(str(given), workflow_settings().folder)
    return path


def load_experiment(path: Path, data_root: Path | None = None) -> Experiment:
    """Read and check the experiment at ``path``; ``data_root`` takes the place of ``data.root``.

    Raises:
        UserError: The file or one of its keys is wrong.
    """
    _check_file_name(path)
    raw = read_mapping(
        path,
        "write an experiment with keys such as data",
        f"put an experiment there; those that exist: {_existing(path.parent)}",
    )
    return check_experiment(path, raw, data_root)


def check_experiment(path: Path, raw: dict[str, Any], data_root: Path | None = None) -> Experiment:
    """The experiment that ``raw``, the content of the file ``path``, describes.

    Raises:
        UserError: One of its keys is wrong.
    """
    _check_file_name(path)
    if data_root is not None:
        if not isinstance(raw.get("data"), dict) or raw["data"].get("source") == "shapes":
            raise UserError(
                path, "its data set has no folder, so none can be given", "leave the data root out"
            )
        if "root" not in raw["data"]:
            raise UserError(f"{path}: data.root", "key is missing", "add it")
        raw["data"]["root"] = str(data_root)
    try:
        experiment = Experiment.model_validate(raw)
    except ValidationError as error:
        raise UserError(*explain(path, error)) from error
    _check_lengths(path, experiment)
    check_local_files(path, experiment)
    return experiment


def _check_file_name(path: Path) -> None:
    check_name(path, path.stem)
    if path.stem in RESERVED:
        raise UserError(
            path, "has the name of a folder that all experiments share", "choose another"
        )


def _check_lengths(path: Path, experiment: Experiment) -> None:
    """Names must fit together into the one file name that Snakemake's Slurm plugin makes of them.

    It calls the folder of a job's log by experiment, method and chain.
    """
    names = sorted(experiment.teachers, key=len, reverse=True)
    for name, run in experiment.runs.items():
        # The longest chain that a strategy may choose.
        chosen = names[: teachers_at_most(experiment, run)]
        teachers = chosen if isinstance(run.order, str) else run.order
        chain = len("+".join(teachers)) + len("@999~9999")
        total = len(f"{path.stem}_{run.method}_") + chain
        if total > NAME_MAX:
            raise UserError(
                f"{path}: runs.{name}",
                f"experiment, method and a chain of {len(teachers)} teachers make a name of up to "
                f"{total} characters, but file systems allow {NAME_MAX}",
                "give shorter names, or set max_teachers",
            )


def check_local_files(path: Path, experiment: Experiment) -> None:
    """Every config and weights file that the experiment names must exist."""
    for name in experiment.detectors:
        detector = experiment.detector(name)
        key = "student" if name == experiment.student.name else f"teachers.{name}"
        if not config_file(detector.config).is_file():
            raise UserError(
                f"{path}: {key}.config",
                f"there is no config '{detector.config}'{in_full(config_file(detector.config))}",
                "give a config file, or 'mmdet::folder/name.py' for one that MMDetection ships",
            )
        _check_weights(f"{path}: {key}", detector)


def _check_weights(where: str, detector: Detector) -> None:
    """Weights that the experiment names must be a file, an address, or listed by the zoo."""
    if detector.weights is not None and detector.start_from is not None:
        problem = "is given beside weights, but a detector with weights is not trained here"
        raise UserError(f"{where}.start_from", problem, "leave one of the two out")
    for key in ("weights", "start_from"):
        given = getattr(detector, key)
        if given is None:
            continue
        try:
            is_remote = remote_weights(detector) is not None
        except UserError as error:
            problem = f"'{error.where}' {error.problem}"
            raise UserError(f"{where}.{key}", problem, error.remedy) from error
        if not is_remote and not weights_file(given).is_file():
            raise UserError(
                f"{where}.{key}",
                f"there is no file '{given}'{in_full(Path(given))}",
                "give a file, an http(s) address or 'zoo', or leave the key out to train the "
                "detector here",
            )


def _existing(folder: Path) -> str:
    return ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
