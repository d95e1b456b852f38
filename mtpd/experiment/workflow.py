"""The workflow's own settings, from ``config/config.yaml`` and ``snakemake --config``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from mtpd.errors import UserError
from mtpd.experiment.load import EXPERIMENTS
from mtpd.experiment.settings import Settings
from mtpd.zoo.settings import Zoo


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


def put_command_on_path() -> None:
    """Let jobs find the ``mtpd`` command of this interpreter's environment, activated or not."""
    here = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", os.defpath)])


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
