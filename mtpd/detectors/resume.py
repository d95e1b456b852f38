"""Saving the state of a training as it goes, so that a killed one goes on from there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mtpd.detectors.parallel import any_of, world_size
from mtpd.detectors.progress_file import ProgressFile
from mtpd.detectors.state import history_of, restore, state_of
from mtpd.detectors.stop_requests import AGREE_EVERY, StopRequests
from mtpd.detectors.training_state import TrainingStates
from mtpd.errors import Interrupted


@HOOKS.register_module()
class TrainingStateHook(Hook):
    """Saves the training state when it is time, restores it, and ends the job when it has to end.

    Saved after the last iteration of every epoch, after every ``iterations`` or ``minutes``, and
    when the job has to end: shortly before the end of its time, where the batch system tells that,
    or when a signal asks for it.

    Args:
        folder: Of the states.
        identity: What the training depends on; see :class:`TrainingStates`.
        progress: Path of ``progress.json``.
        minutes: Time between two states; None: no matter how long.
        iterations: Iterations between two states; None: no matter how many.
    """

    # After the hooks that step the schedule and note the losses, before the final weights.
    priority = "VERY_LOW"

    def __init__(
        self,
        folder: str,
        identity: str,
        progress: str,
        minutes: float | None = None,
        iterations: int | None = None,
    ) -> None:
        self.states = TrainingStates(Path(folder), identity)
        self.progress = ProgressFile(Path(progress))
        self.requests = StopRequests()
        self.minutes, self.iterations = minutes, iterations
        # What is due as soon as gradients are not being summed up over several iterations.
        self._must_save = self._must_stop = False
        self._last_saved: int | None = None
        self._saved = time.monotonic()

    def before_train(self, runner: Runner) -> None:
        """Restore the newest state, and listen to signals from here on."""
        state = self.states.newest()
        if state is None:
            self.states.clear()
        else:
            restore(runner, state)
            runner.logger.info(
                "resumed after iteration %d, in epoch %d", state["iteration"], state["epoch"] + 1
            )
        self.requests.listen()
        self.progress.begin(runner)

    def before_train_iter(
        self,
        runner: Runner,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
    ) -> None:
        """Note when the iteration began."""
        self.requests.begin_iteration()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,  # noqa: ARG002
        outputs: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> None:
        """Save if it is time.

        Raises:
            Interrupted: The job has to end.
        """
        done = runner.iter + 1
        self.requests.end_iteration()
        self.requests.look_at_the_clock(runner)
        last = batch_idx + 1 == len(runner.train_dataloader)
        self._must_stop = self._must_stop or self.requests.is_agreed(done, last=last)
        self._must_save = self._must_save or self._must_stop or last or self._is_due(done)
        # Gradients that are still summed up are in no state.
        if self._must_save and runner.optim_wrapper.should_update():
            self._save(runner, done, batch_idx + 1)
            if self._must_stop:
                self._end(runner, done)
        self.progress.write_if_due(runner, done, "training")

    def before_val_epoch(self, runner: Runner) -> None:
        """Say that validation is on."""
        self.progress.write(runner, runner.iter, "validating")

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
        outputs: Any = None,  # noqa: ARG002
    ) -> None:
        """End between two images of the validation, if there is a state to go on from.

        Raises:
            Interrupted: The job has to end.
        """
        # Several processes would have to agree here too; they end at the next iteration.
        if world_size() == 1:
            self.requests.look_at_the_clock(runner)
            if self.requests.reason and self._last_saved is not None:
                self._end(runner, self._last_saved)
        self.progress.write_if_due(runner, runner.iter, "validating")

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Say what the validation has found."""
        self.progress.write(runner, runner.iter, "training")

    def after_train(self, runner: Runner) -> None:  # noqa: ARG002
        """Leave signals to others again; the states stay until the weights are written."""
        self.requests.leave()

    def _is_due(self, done: int) -> bool:
        if self.iterations is not None and done % self.iterations == 0:
            return True
        if self.minutes is None or (world_size() > 1 and done % AGREE_EVERY):
            return False
        return any_of(time.monotonic() - self._saved > 60 * self.minutes)

    def _save(self, runner: Runner, done: int, done_in_epoch: int) -> None:
        # What has diverged is no state to go on from.
        history_of(runner).check(runner)
        self._saved, self._must_save = time.monotonic(), False
        state = state_of(runner, done, done_in_epoch)
        if is_main_process():
            self.states.save(done, state)
        self._last_saved = done
        self.requests.note_save(time.monotonic() - self._saved)

    def _end(self, runner: Runner, done: int) -> None:
        self.progress.write(runner, done, "saved")
        raise Interrupted(f"{self.requests.reason}: the state after iteration {done} is saved")
