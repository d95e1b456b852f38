"""Where a detector's config file lies."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from mtpd.settings.runtime import workflow_settings


def config_file(config: str) -> Path:
    """Path of a config named ``package::folder/name.py`` or given as a file.

    The package is not imported. A file that the working folder does not have may be the project's.
    The path may not exist.
    """
    if "::" not in config:
        return workflow_settings().found(Path(config))
    package, _, name = config.partition("::")
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        return Path(config)
    return Path(next(iter(spec.submodule_search_locations))) / ".mim" / "configs" / name


REMOTE = ("http", "https", "torchvision", "modelzoo", "open-mmlab", "openmmlab", "mmcls")
"""What the addresses of published weights begin with, before ``://``."""


def is_remote(value: object) -> bool:
    """Whether ``value`` is an address of weights, in any way that MMEngine understands."""
    scheme, separator, _ = value.partition("://") if isinstance(value, str) else ("", "", "")
    return bool(separator) and scheme in REMOTE


def may_be_pretrained(config: str) -> bool:
    """Whether a part of the detector may start from published weights.

    Found without running the config: it is so if any string of it, or of those it builds on, is
    such an address, even if none is left in the end.
    """
    return any(
        tree is None or any(_is_sign(node) for node in ast.walk(tree))
        for tree in _trees(config_file(config))
    )


def _is_sign(node: ast.AST) -> bool:
    """Whether it is an address, or the start of a config that builds on others by importing."""
    if isinstance(node, ast.Name):
        return node.id == "read_base"
    return isinstance(node, ast.Constant) and is_remote(node.value)


def _trees(file: Path) -> Iterator[ast.Module | None]:
    """Syntax trees of a config and of all that it builds on; None for what cannot be read."""
    seen: set[Path] = set()
    pending = [file]
    while pending:
        current = pending.pop().resolve()
        if current in seen:
            continue
        seen.add(current)
        try:
            yield ast.parse(current.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, OSError):
            yield None
        pending += [
            config_file(base) if "::" in base else current.parent / base
            for base in _bases_of(current)
        ]


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
