"""The settings of the workflow itself: which experiments run, and where files lie.

They are read in one way, for the Snakefile and for every command: from ``config/config.yaml`` of
the working folder, or else of the checkout or installed package (:mod:`mtpd.installation`).
Snakemake lays ``--config`` and ``--configfile`` over them and hands the result to its jobs in an
environment variable.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from mtpd.errors import UserError
from mtpd.installation import PROJECT
from mtpd.settings.experiment import Name
from mtpd.settings.machine import AUTO_GPUS, gpus_here
from mtpd.settings.reading import explain, read_mapping
from mtpd.settings.values import (
    SettingError,
    Settings,
    Text,
    UserPath,
    WrittenFloat,
    as_text,
)

CONFIG = Path("config/config.yaml")
EXPERIMENTS = Path("config/experiments")
PAPER_TABLES = Path("config/paper_tables.yaml")

VARIABLE = "MTPD_WORKFLOW"
"""Environment variable by which the workflow tells its jobs the settings, as JSON."""

Tracker = Literal["wandb", "mlflow"]
"""What trainings can report to beside TensorBoard; also the name of the package that it needs."""

RUN = "MTPD_RUN"
"""Environment variable that tells the jobs of one run of the workflow from those of others."""


def _one_or_several(value: Any) -> Any:
    """``--config experiments=a,b`` is as good as a list."""
    if isinstance(value, float) and not isinstance(value, WrittenFloat):
        remedy = "write --config 'experiments=[name]', or put it in quotes if it stands in a file"
        raise SettingError("", f"is read as the number {value}, not as a name", remedy)
    text = as_text(value)
    names = [name.strip() for name in text.split(",")] if isinstance(text, str) else text
    if names is None or names in ([], (), [""]):
        raise SettingError("", "names no experiment", "name at least one, such as demo")
    return names


def _none_is_empty(value: Any) -> Any:
    """A key whose parts are all commented out is there, without a value."""
    return {} if value is None else value


def _trackers(value: Any) -> Any:
    """``--config trackers=wandb`` is as good as a list; ``~`` names none."""
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value or ()
    known = get_args(Tracker)
    for name in names if isinstance(names, list | tuple) else [names]:
        if name not in known:
            problem = f"{name!r} is no tracker"
            raise SettingError("", problem, f"name some of {', '.join(known)}, or none: []")
    return tuple(dict.fromkeys(names))


class _Keys(Settings):
    """Settings whose keys are few enough to name them all."""

    @model_validator(mode="before")
    @classmethod
    def _are_known(cls, given: Any) -> Any:
        for key in given if isinstance(given, Mapping) else ():
            if key not in cls.model_fields:
                remedy = f"the keys are: {', '.join(cls.model_fields)}"
                raise SettingError(str(key), "unknown key", remedy)
        return given


class Zoo(_Keys):
    """The part ``zoo`` of ``config/config.yaml``."""

    cache: UserPath | None = Field(
        default=None,
        description="Folder of fetched files, for all experiments; none: MTPD_CACHE, or "
        "mtpd/checkpoints in XDG_CACHE_HOME or ~/.cache",
    )
    mirrors: Annotated[dict[str, str], BeforeValidator(_none_is_empty)] = Field(
        default_factory=dict, description="What takes the place of the start of an address"
    )
    offline: bool = Field(default=False, description="Use what the cache holds; fetch nothing")

    @field_validator("mirrors")
    @classmethod
    def _are_addresses(cls, mirrors: dict[str, str]) -> dict[str, str]:
        for address in (*mirrors, *mirrors.values()):
            if not is_url(address):
                problem = f"'{address}' does not begin with http:// or https://"
                raise SettingError("", problem, "give the start of an address")
        return mirrors

    @property
    def folder(self) -> Path:
        """Folder of fetched files, absolute."""
        if self.cache is not None:
            return self.cache.absolute()
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


class Config(_Keys):
    """The keys of ``config/config.yaml``. Relative paths are relative to the working folder."""

    experiments: Annotated[tuple[Name, ...], BeforeValidator(_one_or_several)] = Field(
        default=(), description="Which experiments `snakemake` runs"
    )
    folder: UserPath = Field(default=EXPERIMENTS, description="Of the experiments' YAML files")
    results: UserPath = Field(
        default=Path("results"), description="Folder of everything that is produced"
    )
    store: UserPath | None = Field(
        default=None, description="Folder of finished results; none: .mtpd-store beside results"
    )
    data_roots: Annotated[dict[Text, UserPath], BeforeValidator(_none_is_empty)] = Field(
        default_factory=dict, description="By experiment; in place of its data.root"
    )
    zoo: Annotated[Zoo, BeforeValidator(_none_is_empty)] = Zoo()
    paper_tables: UserPath = PAPER_TABLES
    trackers: Annotated[tuple[Tracker, ...], BeforeValidator(_trackers)] = Field(
        default=(), description="What trainings report to beside TensorBoard: wandb, mlflow"
    )
    fork_jobs: bool = Field(
        default=True,
        description="Where no GPU is: fork jobs from one process that has imported the libraries",
    )


class Workflow(Config):
    """The settings as they hold here.

    Attributes:
        checkout: Folder of the workflow, in a checkout or in the installed package, where files are
            looked for that the working folder does not have.
    """

    checkout: Path = PROJECT

    @property
    def forks_jobs(self) -> bool:
        """Whether jobs on this machine are forks (:mod:`mtpd.forks`)."""
        return self.fork_jobs and not gpus_here()

    def store_for(self, results: Path) -> Path:
        """Folder where finished results are kept; ``results`` is the folder of all results."""
        return results.parent / ".mtpd-store" if self.store is None else self.store

    def found(self, path: Path) -> Path:
        """``path``, or the same below the checkout if it is only there."""
        return _found(path, self.checkout)

    def export(self) -> None:
        """Give this process and its jobs these settings.

        The folder of fetched files is the one that is meant here: on a job's machine it could be
        another.
        """
        zoo = self.zoo.model_copy(update={"cache": self.zoo.folder})
        settings = self.model_copy(update={"zoo": zoo, "checkout": self.checkout})
        os.environ[VARIABLE] = settings.model_dump_json(exclude_unset=True)
        workflow_settings.cache_clear()


@cache
def workflow_settings() -> Workflow:
    """The settings of this process, read once: Snakemake's in its jobs, else the file's.

    ``workflow_settings.cache_clear()`` lets them be read again.

    Raises:
        UserError: They are wrong.
    """
    exported = os.environ.get(VARIABLE)
    if not exported:
        return read_workflow()
    try:
        return Workflow.model_validate_json(exported)
    except ValidationError as error:
        where, problem, _ = explain(VARIABLE, error)
        raise UserError(where, problem, f"unset {VARIABLE}, which Snakemake sets") from error


def read_workflow(given: Mapping[str, Any] | None = None, checkout: Path = PROJECT) -> Workflow:
    """The settings of the file, those of ``given`` in their place; defaults for what is left out.

    Args:
        given: What Snakemake got by ``--config`` and ``--configfile``.
        checkout: Folder of the workflow.

    Raises:
        UserError: The file or one of the keys is wrong.
    """
    file = settings_file(checkout)
    written = _read(file) if os.path.lexists(file) else {}
    _checked("--config or --configfile", given or {})
    config = _checked(file, _overlaid(written, given or {}))
    chosen = {name: getattr(config, name) for name in config.model_fields_set}
    for name in ("folder", "paper_tables"):
        chosen[name] = _found(getattr(config, name), checkout)
    return Workflow(**chosen, checkout=checkout)


def start_workflow(given: Mapping[str, Any], checkout: Path, *, is_job: bool) -> Workflow:
    """The settings of a run of Snakemake, which its jobs get as well.

    A job starts Snakemake once more: there they stay as they were when the first was started.

    Raises:
        UserError: They are wrong, or name no experiment.
    """
    if not (is_job and os.environ.get(VARIABLE)):
        workflow = read_workflow(given, checkout)
        if not workflow.experiments:
            where = f"{settings_file(checkout)}: experiments"
            raise UserError(where, "key is missing", "name at least one, such as demo")
        check_installed(workflow.trackers, settings_file(checkout))
        workflow.export()
        os.environ[RUN] = uuid.uuid4().hex
        os.environ[AUTO_GPUS] = str(gpus_here())
    return workflow_settings()


def settings_file(checkout: Path = PROJECT) -> Path:
    """The file of the settings: the working folder's, or the checkout's if only that is there."""
    return _found(CONFIG, checkout)


def check_installed(trackers: Sequence[Tracker], file: Path = CONFIG) -> None:
    """Refuse trackers whose packages are not there.

    Raises:
        UserError: One is not.
    """
    for tracker in trackers:
        if find_spec(tracker) is None:
            remedy = f"run `pip install {tracker}`, or take it out of the list"
            raise UserError(f"{file}: trackers", f"{tracker} is not installed here", remedy)


def is_url(text: str) -> bool:
    """Whether ``text`` is an address that can be fetched."""
    return text.startswith(("http://", "https://"))


def _read(file: Path) -> dict[str, Any]:
    remedy = "write keys such as experiments and results, one a line"
    return read_mapping(file, remedy, "make it a file that can be read")


def _checked(source: object, keys: Mapping[str, Any]) -> Config:
    try:
        return Config.model_validate(keys)
    except ValidationError as error:
        raise UserError(*explain(source, error)) from error


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``below`` with the values of ``above`` in their place, key by key inside mappings."""
    both = dict(below)
    for key, value in above.items():
        parts = isinstance(value, Mapping) and isinstance(both.get(key), Mapping)
        both[key] = _overlaid(both[key], value) if parts else value
    return both


def _found(path: Path, checkout: Path) -> Path:
    other = checkout / path
    return other if other.exists() and not os.path.lexists(path) else path
