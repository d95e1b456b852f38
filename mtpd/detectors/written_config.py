"""MMEngine configs as files beside results."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mtpd.files import whole_file


def write_config(config: Config, path: Path, moving: Path | None = None) -> None:
    """Dump ``config`` so that a person can read it and MMDetection's tools can run it.

    Args:
        config: The config.
        path: Of the file.
        moving: Folder around ``path``; files in it are named as seen from ``path``, so that it may
            be moved as a whole.
    """
    settings = config.to_dict()
    if moving is not None:
        settings = _as_seen_from(path.parent.absolute(), settings, moving.absolute())
    with whole_file(path) as temporary:
        plain(settings).dump(str(temporary))


def plain(settings: dict[str, Any], filename: str | None = None) -> Config:
    """A config whose text stands as it comes, a key a line.

    yapf would break its lines more finely, and takes a second each time that the text is asked for:
    six times in a training.
    """
    return Config(settings, filename=filename, format_python_code=False)


def _as_seen_from(here: Path, part: Any, moving: Path) -> Any:
    """A part of a config with paths below ``moving`` in MMEngine's way to say "from this file"."""
    if isinstance(part, dict):
        return {key: _as_seen_from(here, value, moving) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return type(part)(_as_seen_from(here, item, moving) for item in part)
    if isinstance(part, str) and part.startswith(f"{moving}{os.sep}"):
        return f"{{{{ fileDirname }}}}/{os.path.relpath(part, here)}"
    return part
