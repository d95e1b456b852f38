"""MMEngine hooks of every training job: what it writes for the jobs that follow."""

from __future__ import annotations

import math
import resource
import time
from pathlib import Path
from typing import Any

import psutil
from mmdet.registry import HOOKS
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mtpd.detectors.weights import part_of, save_state
from mtpd.errors import UserError
from mtpd.files import write_json


@HOOKS.register_module()
class DetectorWeightsHook(Hook):
    """Writes the detector alone, without teacher and adapters, when training has ended.

    They are the weights that were validated: where a hook validates an average of those that were
    trained, as EMAHook does, the average.
    """

    # After every hook that may still change the weights.
    priority = "LOWEST"

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def after_train(self, runner: Runner) -> None:
        """Write the checkpoint, from one process only."""
        if not is_main_process():
            return
        model: Any = runner.model
        model = model.module if is_model_wrapper(model) else model
        checkpoint = {"state_dict": model.state_dict()}
        # Where hooks with weights of their own put them, as for MMEngine's checkpoints.
        runner.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        state = checkpoint["state_dict"]
        if hasattr(model, "student"):
            state = part_of(state, "student.")
        save_state(self.path, state, runner.train_dataloader.dataset.metainfo["classes"])


@HOOKS.register_module()
class HistoryHook(Hook):
    """Writes ``history.json``: mean losses, learning rate and validation figures of every epoch.

    Args:
        path: Of the file.
        identity: Digest of all that the training depends on, noted in the file.
    """

    priority = "LOW"

    def __init__(self, path: str, identity: str | None = None) -> None:
        self.path = Path(path)
        self.identity = identity
        self.epochs: list[dict[str, Any]] = []
        self.startup_seconds: float | None = None
        self._sums: dict[str, Tensor] = {}
        self._iterations = 0
        self._began = 0.0
        self._learning_rate = 0.0
        self._resumed: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """What a training state keeps of the history."""
        return {
            "epochs": self.epochs,
            "startup_seconds": self.startup_seconds,
            "sums": self._sums,
            "iterations": self._iterations,
            "seconds": time.monotonic() - self._began,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with a history that :meth:`state` gave, in the middle of its epoch."""
        self.epochs, self.startup_seconds = state["epochs"], state["startup_seconds"]
        self._resumed = state

    def before_train_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
    ) -> None:
        """Note this step's learning rate, and once how long the process took to get here."""
        self._learning_rate = runner.optim_wrapper.param_groups[0]["lr"]
        if self.startup_seconds is None:
            self.startup_seconds = time.time() - psutil.Process().create_time()

    def before_train_epoch(self, runner: Runner) -> None:  # noqa: ARG002  MMEngine's signature
        """Start the sums of an epoch, or go on with those that were restored."""
        self._sums, self._iterations, self._began = {}, 0, time.monotonic()
        if self._resumed is not None:
            self._sums, self._iterations = self._resumed["sums"], self._resumed["iterations"]
            self._began -= self._resumed["seconds"]
            self._resumed = None

    def after_train_iter(
        self,
        runner: Runner,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
        outputs: dict[str, Tensor] | None = None,
    ) -> None:
        """Add this step's losses, without waiting for the device."""
        self._iterations += 1
        for name, value in (outputs or {}).items():
            self._sums[name] = self._sums.get(name, 0) + value.detach()

    def after_train_epoch(self, runner: Runner) -> None:
        """Close the epoch.

        Raises:
            UserError: A loss was not finite.
        """
        means = {name: float(total) / self._iterations for name, total in self._sums.items()}
        broken = [name for name, mean in means.items() if not math.isfinite(mean)]
        if broken:
            raise UserError(
                f"epoch {runner.epoch + 1}",
                f"training has diverged: {broken[0]} is not finite",
                "lower training.optimizer.lr, or set training.clip_grad_norm",
            )
        self.epochs.append(
            {
                "epoch": runner.epoch + 1,
                "iterations": self._iterations,
                "last_learning_rate": self._learning_rate,
                "train_seconds": round(time.monotonic() - self._began, 3),
                "train": means,
            }
        )

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Add the validation figures to the epoch that they belong to."""
        if self.epochs and metrics:
            figures = {name.removeprefix("coco/"): value for name, value in metrics.items()}
            self.epochs[-1]["val"] = figures

    def after_train(self, runner: Runner) -> None:
        """Write the file, from one process only."""
        if is_main_process():
            write_json(
                self.path,
                {
                    "identity": self.identity,
                    "images_per_step": runner.train_dataloader.batch_sampler.batch_size
                    * get_world_size(),
                    "startup_seconds": round(self.startup_seconds or 0.0, 3),
                    # Linux counts in KiB
                    "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                    "epochs": self.epochs,
                },
            )
