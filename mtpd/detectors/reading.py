"""Reading MMEngine configs, also those that build on ``package::…``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from unittest.mock import patch

from mmengine.config import Config

from mtpd.detectors.sources import config_file


def read_config(config: str) -> Config:
    """The config named ``package::folder/name.py`` or given as a file, with what it builds on.

    Raises:
        Exception: Whatever goes wrong in a config; it is Python.
    """
    with _packages_found():
        return Config.fromfile(config_file(config))


@contextmanager
def _packages_found() -> Iterator[None]:
    """Let MMEngine find the packages of ``_base_ = "package::…"``.

    It asks ``pkg_resources``, which setuptools has no longer since version 82.
    """
    module = "mmengine.config.config"
    with (
        patch(f"{module}.is_installed", lambda package: _folder(package) is not None),
        patch(f"{module}.get_installed_path", _folder),
    ):
        yield


def _folder(package: str) -> str | None:
    """Folder of a package that is installed."""
    spec = find_spec(package)
    places = None if spec is None else spec.submodule_search_locations
    return next(iter(places)) if places else None
