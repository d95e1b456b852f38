"""Training by MMEngine's Runner."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.runner import Runner

from mtpd.files import whole_file
from mtpd.layout import ModelFolder


def run_training(config: Config, folder: ModelFolder) -> None:
    """Train what ``config`` describes; weights, history and config appear in ``folder``.

    The config's hooks write weights and history when training has ended.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    write_config(config, folder)
    Runner.from_cfg(config).train()


def write_config(config: Config, folder: ModelFolder) -> None:
    """Dump ``config`` so that a person can read it and MMDetection's tools can run it."""
    with whole_file(folder.config) as temporary:
        config.dump(str(temporary))
