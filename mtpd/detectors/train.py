"""Training by MMEngine's Runner."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from mtpd.detectors.parallel import together
from mtpd.detectors.stopping import end_loaders
from mtpd.detectors.training_state import TrainingStates
from mtpd.detectors.written_config import plain, write_config
from mtpd.errors import DivergedError
from mtpd.layout import ModelFolder
from mtpd.settings.experiment import Saving


def run_training(
    config: Config,
    folder: ModelFolder,
    saving: Saving,
    identity: str,
    states: Path,
    curves: Sequence[Mapping[str, Any]] = (),
    model_options: Mapping[str, Any] | None = None,
) -> None:
    """Train what ``config`` describes; its hooks write weights and history to ``folder``.

    The config itself is written before, so that MMDetection's own tools can do the same; they do
    not come near our states. A training that was cut short goes on from its newest state.

    Args:
        config: Of the training.
        folder: Gets the results.
        saving: When the training state is saved.
        identity: Digest of all that the training depends on. States of another are not used.
        states: Folder of the training states.
        curves: MMEngine's visualisation backends, which are no part of the written config.
        model_options: More arguments of the model, which are no part of the written config.

    Raises:
        Interrupted: The job was asked to end.
        DivergedError: The loss has not been finite for a while.
    """
    written = copy.deepcopy(config)
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.pin_memory = torch.cuda.is_available()
    config.model.update(model_options or {})
    hook = {
        "type": "TrainingStateHook",
        "folder": str(states),
        "identity": identity,
        "progress": str(folder.progress),
        **saving.model_dump(),
    }
    config.custom_hooks = [*config.custom_hooks, hook]
    for own in config.custom_hooks:
        if own["type"] == "HistoryHook":
            own["identity"] = identity
    config.visualizer.vis_backends = [dict(backend) for backend in curves]
    with together(config):
        if is_main_process() and TrainingStates(states, identity).is_empty:
            # Curves of what was here before are not those of this training.
            shutil.rmtree(folder.events, ignore_errors=True)
        write_config(written, folder.training_config)
        # As Config.fromfile does: it registers hooks, and the distiller where the config names it.
        import_modules_from_strings(**config.custom_imports)
        runner = Runner.from_cfg(plain(config.to_dict(), config.filename))
        try:
            runner.train()
        except DivergedError:
            # What they lead to is known: the next attempt begins anew.
            TrainingStates(states, identity).clear()
            raise
        finally:
            end_loaders(runner)
        if is_main_process():
            folder.progress.unlink(missing_ok=True)
