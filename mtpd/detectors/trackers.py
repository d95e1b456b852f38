"""Where the curves of a training go: TensorBoard always, and what ``trackers`` names besides.

This is a matter of the machine: it is no part of a written config, nor of what identifies a result.
Of several processes MMEngine lets the first one alone write.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtpd.layout import ModelFolder, trackers_folder
from mtpd.settings.runtime import Tracker, check_installed

CONFIG_KEYS = ("optim_wrapper", "param_scheduler", "train_cfg", "train_dataloader")
"""Parts of the config that MLflow gets as parameters; it takes no long ones."""


def backends(
    trackers: Sequence[Tracker], folder: ModelFolder, experiment: Path, task: str, identity: str
) -> list[dict[str, Any]]:
    """MMEngine's visualisation backends of a training.

    Args:
        trackers: Beside TensorBoard.
        folder: Of the model.
        experiment: Folder of the experiment.
        task: The job, such as ``train student``.
        identity: Digest of all that the training depends on. For W&B, a training that goes on is
            the same run.

    Raises:
        UserError: A tracker is not installed.
    """
    check_installed(trackers)
    folder_of_all = trackers_folder(experiment.parent).absolute()
    server = os.environ.get("MLFLOW_TRACKING_URI")
    found: dict[Tracker, dict[str, Any]] = {
        "wandb": {
            "type": "WandbVisBackend",
            "save_dir": str(folder_of_all),
            "init_kwargs": {
                "project": os.environ.get("WANDB_PROJECT", "mtpd"),
                "group": experiment.name,
                "name": f"{experiment.name}: {task}",
                "id": identity,
                "resume": "allow",
            },
        },
        "mlflow": {
            "type": "MLflowVisBackend",
            "save_dir": str(folder_of_all),
            # It refuses plain files as its store.
            "tracking_uri": server or f"sqlite:///{folder_of_all / 'mlflow.db'}",
            "artifact_location": None if server else (folder_of_all / "mlruns").as_uri(),
            "exp_name": experiment.name,
            "run_name": task,
            "tags": {"identity": identity},
            "tracked_config_keys": CONFIG_KEYS,
        },
    }
    tensorboard = {"type": "TensorboardVisBackend", "save_dir": str(folder.events)}
    return [tensorboard, *(found[tracker] for tracker in trackers)]
