"""Where a detector's config file lies."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def config_file(config: str) -> Path:
    """Path of a config named ``package::folder/name.py`` or given as a file.

    The package is not imported. The path may not exist.
    """
    if "::" not in config:
        return Path(config)
    package, _, name = config.partition("::")
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        return Path(config)
    return Path(next(iter(spec.submodule_search_locations))) / ".mim" / "configs" / name
