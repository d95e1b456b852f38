"""The settings of the workflow itself, from ``config/config.yaml`` and ``snakemake --config``.

Which experiments run, where their files lie, and from where files of others are fetched.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator

from mtpd.errors import UserError
from mtpd.settings.experiment import Settings

CONFIG = Path("config/config.yaml")
EXPERIMENTS = Path("config/experiments")
VARIABLE = "MTPD_ZOO"
"""Environment variable by which the workflow tells its jobs the settings, as JSON."""


class Zoo(Settings):
    """The part ``zoo`` of ``config/config.yaml``."""

    cache: Path | None = Field(
        default=None,
        description="Folder of fetched files, for all experiments; none: MTPD_CACHE, or "
        "mtpd/checkpoints in XDG_CACHE_HOME or ~/.cache",
    )
    mirrors: dict[str, str] = Field(
        default_factory=dict, description="What takes the place of the start of an address"
    )
    offline: bool = Field(default=False, description="Use what the cache holds; fetch nothing")

    @field_validator("mirrors")
    @classmethod
    def _are_addresses(cls, mirrors: dict[str, str]) -> dict[str, str]:
        for address in (*mirrors, *mirrors.values()):
            if not is_url(address):
                raise ValueError(f"'{address}' does not begin with http:// or https://")
        return mirrors

    @property
    def folder(self) -> Path:
        """Folder of fetched files, absolute."""
        if self.cache is not None:
            return self.cache.expanduser().absolute()
        if own := os.environ.get("MTPD_CACHE"):
            return Path(own).expanduser().absolute()
        caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return (Path(caches).expanduser() / "mtpd" / "checkpoints").absolute()

    def mirrored(self, url: str) -> str:
        """The address that ``url`` is fetched from: of the longest prefix's mirror, if any."""
        prefixes = [prefix for prefix in self.mirrors if url.startswith(prefix)]
        if not prefixes:
            return url
        prefix = max(prefixes, key=len)
        return self.mirrors[prefix] + url.removeprefix(prefix)

    def export(self) -> None:
        """Give the jobs of this process these settings, and the folder that they mean here.

        Inside such a job they stay as they are: on its machine the folder could be another.
        """
        if not os.environ.get(VARIABLE):
            settings = self.model_copy(update={"cache": self.folder})
            os.environ[VARIABLE] = settings.model_dump_json()


class Workflow(Settings):
    """Which experiments run, and where their files lie."""

    experiments: tuple[str, ...] = Field(min_length=1)
    folder: Path = EXPERIMENTS
    results: Path = Path("results")
    data_roots: dict[str, Path] = Field(default_factory=dict)
    zoo: Zoo = Zoo()
    paper_tables: Path = Path("config/paper_tables.yaml")

    @field_validator("experiments", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        """``--config experiments=a,b`` is as good as a list."""
        return value.split(",") if isinstance(value, str) else value


def read_workflow(config: Mapping[str, Any]) -> Workflow:
    """Check Snakemake's ``config``.

    Raises:
        UserError: One of its keys is wrong.
    """
    try:
        return Workflow.model_validate(dict(config))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        of = Zoo if first["loc"][0] == "zoo" and len(first["loc"]) > 1 else Workflow
        known = ", ".join(of.model_fields)
        raise UserError(
            f"config.yaml: {where}", first["msg"].lower(), f"the keys are: {known}"
        ) from error


def zoo_settings(config: Path = CONFIG) -> Zoo:
    """The workflow's settings inside its jobs; else those of the file ``config``, if it is there.

    Raises:
        UserError: They are wrong.
    """
    where: object = config
    raw: Any = {}
    try:
        if exported := os.environ.get(VARIABLE):
            where = VARIABLE
            raw = json.loads(exported)
        elif config.is_file():
            loaded = yaml.safe_load(config.read_text(encoding="utf-8"))
            raw = (loaded.get("zoo") if isinstance(loaded, dict) else None) or {}
        return Zoo.model_validate(raw)
    except (OSError, ValueError, yaml.YAMLError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        key = ".".join(str(part) for part in ("zoo", *first["loc"])) if first else "zoo"
        problem = first["msg"] if first else str(error)
        known = ", ".join(Zoo.model_fields)
        raise UserError(f"{where}: {key}", problem, f"the keys are: {known}") from error


def is_url(text: str) -> bool:
    """Whether ``text`` is an address that can be fetched."""
    return text.startswith(("http://", "https://"))
