"""Training by MMEngine's Runner."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from mtpd.files import whole_file
from mtpd.layout import ModelFolder


def run_training(config: Config, folder: ModelFolder) -> None:
    """Train what ``config`` describes; its hooks write weights and history to ``folder``.

    The config itself is written before, so that MMDetection's own tools can do the same.
    """
    write_config(config, folder.training_config)
    # As Config.fromfile does: it registers the hooks, and the distiller where the config names it.
    import_modules_from_strings(**config.custom_imports)
    Runner.from_cfg(config).train()


def write_config(config: Config, path: Path) -> None:
    """Dump ``config`` so that a person can read it and MMDetection's tools can run it."""
    with whole_file(path) as temporary:
        config.dump(str(temporary))
