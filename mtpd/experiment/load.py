"""Reading an experiment's YAML, and saying in one line what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mtpd.detectors.sources import config_file
from mtpd.errors import UserError
from mtpd.experiment.settings import Experiment
from mtpd.selection.chains import check_name

EXPERIMENTS = Path("config/experiments")


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, but a key that stands twice in one mapping is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key}' stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def experiment_path(name: str, folder: Path = EXPERIMENTS) -> Path:
    """Path of the YAML of the experiment called ``name``."""
    check_name("config.yaml: experiments", name)
    return folder / f"{name}.yaml"


def load_experiment(path: Path, data_root: Path | None = None) -> Experiment:
    """Read and check the experiment at ``path``; ``data_root`` takes the place of ``data.root``.

    Raises:
        UserError: The file or one of its keys is wrong.
    """
    check_name(path, path.stem)
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except OSError as error:
        remedy = f"put an experiment there; those that exist: {_existing(path.parent)}"
        raise UserError(path, f"cannot be read ({error.strerror})", remedy) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(path, f"is not YAML ({error})", "mend the file") from error
    if not isinstance(raw, dict):
        raise UserError(path, "holds no mapping", "write an experiment with keys such as data")
    if data_root is not None:
        if not isinstance(raw.get("data"), dict) or raw["data"].get("source") == "shapes":
            raise UserError(path, "its data has no root", "leave the data root away")
        raw["data"]["root"] = str(data_root)
    try:
        experiment = Experiment.model_validate(raw)
    except ValidationError as error:
        raise UserError(*_explain(path, error.errors()[0])) from error
    check_local_files(path, experiment)
    return experiment


def check_local_files(path: Path, experiment: Experiment) -> None:
    """Every config and weights file that the experiment names must exist."""
    for name in experiment.detectors:
        detector = experiment.detector(name)
        key = "student" if name == experiment.student.name else f"teachers.{name}"
        if not config_file(detector.config).is_file():
            raise UserError(
                f"{path}: {key}.config",
                f"there is no config '{detector.config}'",
                "give a config file, or 'mmdet::folder/name.py' for one that MMDetection ships",
            )
        if detector.weights is not None and not detector.weights.is_file():
            raise UserError(
                f"{path}: {key}.weights",
                f"there is no file '{detector.weights}'",
                "give the weights' file, or leave the key out to train the detector here",
            )


def _explain(path: Path, error: ErrorDetails) -> tuple[str, str, str]:
    """Where, problem and remedy of pydantic's first error."""
    message = error["msg"].removeprefix("Value error, ")
    if message.count("|") == 2:
        where, problem, remedy = message.split("|")
        return f"{path}: {where}", problem, remedy
    # The tag of a discriminated union is part of pydantic's location, but not a key of the file.
    tags = {"shapes", "coco", "voc", "feature_matching", "cwd"}
    where = ".".join(str(part) for part in error["loc"] if part not in tags and part != "[key]")
    remedies = {
        "extra_forbidden": "take it out, or mend its spelling",
        "missing": "add it",
        "union_tag_invalid": f"use one of: {error.get('ctx', {}).get('expected_tags', '')}",
        "union_tag_not_found": "say which kind it is",
        "string_pattern_mismatch": f"it must match {error.get('ctx', {}).get('pattern', '')}",
    }
    problem = {"extra_forbidden": "unknown key", "missing": "key is missing"}.get(
        error["type"], f"{message[:1].lower()}{message[1:]} (is {error['input']!r:.60})"
    )
    return f"{path}: {where}", problem, remedies.get(error["type"], "give a valid value")


def _existing(folder: Path) -> str:
    return ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
