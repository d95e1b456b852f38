"""Detectors as people name them on a command line."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtpd.chains import is_valid_name
from mtpd.detectors.sources import config_file
from mtpd.errors import UserError
from mtpd.settings.runtime import workflow_settings

SHIPPED = Path("config/detectors")
USUAL = "retinanet_"
"""Most of the shipped detectors' names begin so; it may be left out."""

WEIGHTS = (".pth", ".pt", ".safetensors")


@dataclass(frozen=True)
class Choice:
    """A detector, before it is an experiment's.

    Attributes:
        name: By which the experiment calls it.
        config: As an experiment names it.
        weights: Of the user's; none: it is trained here.
    """

    name: str
    config: str
    weights: str | None = None

    @property
    def is_published(self) -> bool:
        """Whether it is a config as MMDetection ships it."""
        return self.config.startswith("mmdet::")

    def settings(self) -> dict[str, Any]:
        """Keys of the detector in an experiment."""
        found: dict[str, Any] = {"config": self.config}
        return found if self.weights is None else {**found, "weights": self.weights}


def choose(option: str, given: str) -> Choice:
    """The detector that ``given`` means.

    Args:
        option: The option, for what is said.
        given: The name of a detector in config/detectors, an ``mmdet::`` config, a config file,
            weights with their config as ``CONFIG=WEIGHTS``, or weights alone that lie in a folder
            with one config, as MMDetection and this program leave them.

    Raises:
        UserError: It is none of these.
    """
    config, _, weights = given.partition("=")
    if not weights and config.endswith(WEIGHTS):
        config, weights = "", config
    if weights and not Path(weights).is_file():
        raise UserError(option, f"there is no file '{weights}'", "give a checkpoint")
    if weights and not config:
        config = _config_beside(option, Path(weights))
    if "::" not in config and not config.endswith(".py"):
        config = _shipped(option, config)
    elif not config_file(config).is_file():
        remedy = "give a config file, or 'mmdet::folder/name.py' for one that MMDetection ships"
        raise UserError(option, f"there is no config '{config}'", remedy)
    return Choice(_name(config, weights), config, weights or None)


def choose_all(option: str, given: list[str]) -> list[Choice]:
    """Several detectors, each under a name of its own; commas part them, or options do."""
    texts = [part.strip() for one in given for part in one.split(",")]
    return with_own_names([choose(option, text) for text in texts if text])


def with_own_names(choices: list[Choice], taken: frozenset[str] = frozenset()) -> list[Choice]:
    """The same with a number behind names that stand twice or are among ``taken``."""
    used, found = set(taken), []
    for choice in choices:
        name, number = choice.name, 2
        while name in used:
            name, number = f"{choice.name}-{number}", number + 1
        used.add(name)
        found.append(replace(choice, name=name))
    return found


def _shipped(option: str, name: str) -> str:
    """Path of the shipped config called ``name``, as an experiment names it."""
    folder = workflow_settings().found(SHIPPED)
    for stem in (name, f"{USUAL}{name}"):
        if (folder / f"{stem}.py").is_file():
            return str(SHIPPED / f"{stem}.py")
    known = ", ".join(sorted(file.stem for file in folder.glob("*.py"))) or "none"
    remedy = f"use one of {known}; or an mmdet:: config, a config file, or CONFIG=WEIGHTS"
    raise UserError(option, f"there is no detector '{name}'", remedy)


def _config_beside(option: str, weights: Path) -> str:
    configs = sorted(weights.parent.glob("*.py"))
    own = [path for path in configs if path.name == "config.py"]
    if len(configs) != 1 and not own:
        count = f"{len(configs)} configs" if configs else "no config"
        problem = f"beside '{weights}' lies {count}, and its detector is not known without one"
        raise UserError(option, problem, f"give both: CONFIG={weights}")
    return str((own or configs)[0])


def _name(config: str, weights: str) -> str:
    """A short name: of the config's file without what MMDetection says of neck and training."""
    stem = Path(config.rpartition("::")[2]).stem
    if stem == "config" and weights:
        stem = Path(weights).resolve().parent.name  # results/NAME/detectors/<name>/config.py
    stem = re.split(r"_(?:fpn|[0-9]+xb[0-9]+|[0-9]+x)(?:_|$)", stem)[0]
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).lstrip("_.-")
    return name if is_valid_name(name) else "detector"
