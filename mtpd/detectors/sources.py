"""Where a detector's config file lies."""

from __future__ import annotations

import ast
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


def own_config_files(config: str) -> list[Path]:
    """The config file and those that it builds on, as far as they are the user's own.

    Files that a package ships (``package::…``) are left out, and so is what does not exist: the
    check before training says so in better words.
    """
    found: list[Path] = []
    pending = [] if "::" in config else [Path(config)]
    while pending:
        file = pending.pop()
        if file in found or not file.is_file():
            continue
        found.append(file)
        pending += [file.parent / base for base in _bases_of(file) if "::" not in base]
    return found


def _bases_of(file: Path) -> list[str]:
    """What a config names as ``_base_``, read without running it."""
    try:
        statements = ast.parse(file.read_text(encoding="utf-8")).body
    except (SyntaxError, UnicodeDecodeError, OSError):
        return []
    for statement in statements:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "_base_":
            try:
                value = ast.literal_eval(statement.value)
            except ValueError:
                return []
            return [value] if isinstance(value, str) else [str(base) for base in value]
    return []
