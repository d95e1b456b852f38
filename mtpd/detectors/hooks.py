"""MMEngine hooks of every training job: what it writes for the jobs that follow."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from mmdet.registry import HOOKS
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mtpd.detectors.parallel import gathered
from mtpd.detectors.weights import part_of, save_state
from mtpd.errors import DivergedError
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


def _mean_of_all(figures: dict[str, float]) -> dict[str, float]:
    """Figures that every process has, as their means."""
    found = gathered(figures)
    return {name: sum(each[name] for each in found) / len(found) for name in figures}


def _memory_of_all() -> dict[str, int]:
    """Most memory in use, in MiB: of all processes together, and of the GPU that used most.

    Of loading processes, what they hold now.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # Linux counts in KiB
    loaders = psutil.Process().children(recursive=True)
    own += sum(loader.memory_info().rss for loader in loaders) // 2**20
    found = {"peak_memory_mib": sum(gathered(own))}
    if torch.cuda.is_available():
        found["peak_gpu_memory_mib"] = max(gathered(torch.cuda.max_memory_reserved() // 2**20))
    return found


def _images_per_step(runner: Runner) -> int:
    """Images of one step, of all processes together."""
    return int(runner.train_dataloader.batch_sampler.batch_size) * get_world_size()


def _speed(epoch: dict[str, Any], images_per_step: int) -> float:
    """Images in a second of an epoch's training."""
    return float(epoch["iterations"] * images_per_step / max(1e-3, epoch["train_seconds"]))


CHECK_EVERY = 25
"""Iterations between two looks at the losses, each of which waits for the device."""
SKIPPED_IN_A_ROW = 20
"""Steps that the scaler of mixed precision may skip one after the other to find its scale."""


@HOOKS.register_module()
class HistoryHook(Hook):
    """Writes ``history.json``: mean losses, learning rate and validation figures of every epoch.

    Ends a training that has diverged. In mixed precision single steps may have losses that are not
    finite: the scaler skips them, and they are counted and left out of the means.

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
        self.rate: float | None = None
        self._sums: dict[str, Tensor] = {}
        self._iterations = 0
        # Losses that were not finite: in this epoch, and since the last that was; on the device.
        self._skipped = self._streak = torch.tensor(0)
        self._began = 0.0
        self._learning_rate = 0.0
        self._resumed: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """What a training state keeps of the history."""
        return {
            "epochs": self.epochs,
            "startup_seconds": self.startup_seconds,
            "rate": self.rate,
            # The next process may go on after the epoch's last step.
            "last_learning_rate": self._learning_rate,
            "sums": self._sums,
            "iterations": self._iterations,
            "skipped": self._skipped,
            "seconds": time.monotonic() - self._began,
        }

    def shown(self, runner: Runner, *, is_validating: bool) -> dict[str, Any]:
        """What people may see while the training runs: figures so far, and epochs that are over."""
        per_step = _images_per_step(runner)
        is_open = len(self.epochs) == runner.epoch and self._iterations > 0
        loss, speed = None, None
        if is_open:
            counted = max(1, self._iterations - int(self._skipped))
            loss = float(self._sums["loss"]) / counted if "loss" in self._sums else None
            speed = self._iterations * per_step / max(1e-3, time.monotonic() - self._began)
        elif self.epochs:
            loss = self.epochs[-1]["train"].get("loss")
            speed = _speed(self.epochs[-1], per_step)
        over = self.epochs[: len(self.epochs) - is_validating]
        done = [
            {
                "epoch": epoch["epoch"],
                "loss": epoch["train"].get("loss"),
                "ap": epoch.get("val", {}).get("bbox_mAP"),
                "images_per_second": _speed(epoch, per_step),
            }
            for epoch in over
        ]
        return {"loss": loss, "images_per_second": speed, "done": done}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with a history that :meth:`state` gave, in the middle of its epoch."""
        self.epochs, self.startup_seconds = state["epochs"], state["startup_seconds"]
        self.rate = state.get("rate")
        self._learning_rate = state.get("last_learning_rate", 0.0)
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
            groups = runner.optim_wrapper.param_groups
            self.rate = max(group.get("initial_lr", group["lr"]) for group in groups)
            self.startup_seconds = time.time() - psutil.Process().create_time()

    def before_train_epoch(self, runner: Runner) -> None:  # noqa: ARG002  MMEngine's signature
        """Start the sums of an epoch, or go on with those that were restored."""
        self._sums, self._iterations, self._began = {}, 0, time.monotonic()
        self._skipped = torch.tensor(0)
        if self._resumed is not None:
            self._sums, self._iterations = self._resumed["sums"], self._resumed["iterations"]
            self._skipped = self._resumed.get("skipped", self._skipped)
            self._began -= self._resumed["seconds"]
            self._resumed = None

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
        outputs: dict[str, Tensor] | None = None,
    ) -> None:
        """Add this step's losses; the device is waited for only every :data:`CHECK_EVERY` steps.

        Raises:
            DivergedError: They have not been finite for a while.
        """
        self._iterations += 1
        losses = {name: value.detach() for name, value in (outputs or {}).items()}
        if not losses:
            return
        finite = torch.stack([value.isfinite().all() for value in losses.values()]).all()
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0) + torch.where(finite, value, 0)
        self._skipped = self._skipped.to(finite.device) + ~finite
        self._streak = torch.where(finite, 0, self._streak.to(finite.device) + 1)
        if self._iterations % CHECK_EVERY == 0:
            self.check(runner)

    def check(self, runner: Runner) -> None:
        """See whether the training has diverged.

        Raises:
            DivergedError: It has.
        """
        is_scaled = isinstance(runner.optim_wrapper, AmpOptimWrapper)
        streak = int(self._streak)
        if streak > (SKIPPED_IN_A_ROW if is_scaled else 0):
            raise DivergedError(
                f"epoch {runner.epoch + 1}, iteration {self._iterations}",
                f"training has diverged: the loss has not been finite for {streak} iterations",
                "lower training.optimizer.lr, or set training.clip_grad_norm",
            )

    def after_train_epoch(self, runner: Runner) -> None:
        """Close the epoch.

        Raises:
            DivergedError: The last losses were not finite.
        """
        self.check(runner)
        skipped = int(self._skipped)
        counted = max(1, self._iterations - skipped)
        means = _mean_of_all({name: float(total) / counted for name, total in self._sums.items()})
        self.epochs.append(
            {
                "epoch": runner.epoch + 1,
                "iterations": self._iterations,
                "last_learning_rate": self._learning_rate,
                "train_seconds": round(time.monotonic() - self._began, 3),
                **({"skipped": skipped} if skipped else {}),
                "train": means,
            }
        )
        self._sums, self._iterations = {}, 0

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Add the validation figures to the epoch that they belong to."""
        if self.epochs and metrics:
            figures = {name.removeprefix("coco/"): value for name, value in metrics.items()}
            self.epochs[-1]["val"] = figures

    def after_train(self, runner: Runner) -> None:
        """Write the file, from one process only."""
        memory = _memory_of_all()
        if is_main_process():
            write_json(
                self.path,
                {
                    "identity": self.identity,
                    "images_per_step": _images_per_step(runner),
                    # Without warm-up and decay, of the group with the highest.
                    "learning_rate": self.rate,
                    "startup_seconds": round(self.startup_seconds or 0.0, 3),
                    **memory,
                    "epochs": self.epochs,
                },
            )
