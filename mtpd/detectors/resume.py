"""Resuming inside a training: its state is saved as it goes, and a killed one goes on from there.

The resumed training is the same as one that was never interrupted: weights, optimiser, schedule,
order of the data and random numbers all stand where they stood after the saved iteration.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from types import FrameType
from typing import Any

from mmdet.registry import HOOKS, LOOPS
from mmengine.dist import get_rank, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from mtpd.detectors.deadline import end_of_job, is_near
from mtpd.detectors.hooks import HistoryHook
from mtpd.detectors.parallel import any_of, gathered, world_size
from mtpd.detectors.training_state import TrainingStates, random_state, set_random_state
from mtpd.errors import Interrupted
from mtpd.files import write_json
from mtpd.launch import SIGNALS

AGREE_EVERY = 10
"""Iterations after which several processes ask each other; each time costs a little."""
PROGRESS_SECONDS = 5.0
PYTHON_STATE = {
    "DDODHead": ("cls_num_pos_samples_per_level", "reg_num_pos_samples_per_level"),
}
"""Attributes of modules that training changes and that are not in the state dictionary."""


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """MMEngine's loop over epochs, which can begin in the middle of one.

    Attributes:
        done_in_epoch: Iterations of the first epoch that are done already.
        random: State of the random generators before the next iteration; None: as they are.
    """

    done_in_epoch = 0
    random: dict[str, Any] | None = None

    def resume(self, epoch: int, iteration: int, done_in_epoch: int, random: Any) -> None:
        """Go on after ``iteration`` iterations, ``done_in_epoch`` of them in ``epoch``."""
        self._epoch, self._iter = epoch, iteration
        self.done_in_epoch, self.random = done_in_epoch, random

    def run_epoch(self) -> None:
        """Train what is left of an epoch."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        first, self.done_in_epoch = self.done_in_epoch, 0
        self.dataloader.batch_sampler.skip = first
        batches = iter(self.dataloader)  # which draws a random number
        if self.random is not None:
            set_random_state(self.random)
            self.random = None
        for position, batch in enumerate(batches, start=first):
            self.run_iter(position, batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1


@HOOKS.register_module()
class TrainingStateHook(Hook):
    """Saves the training state, restores it, and ends the job in time when it is told to.

    Saved after the last iteration of every epoch, after every ``iterations`` or ``minutes``, and
    when the job has to end: shortly before the end of its time, where the batch system tells that,
    or when a signal asks for it. Writes ``progress.json`` for ``mtpd status`` as well.

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
        self.progress = Path(progress)
        self.minutes, self.iterations = minutes, iterations
        self._stop: str | None = None
        # What is due as soon as gradients are not being summed up over several iterations.
        self._must_save = self._must_stop = False
        self._last_saved: int | None = None
        self._saved = self._reported = self._began = time.monotonic()
        self._since = 0
        self._end_of_job: float | None = None
        self._longest_save = self._longest_iteration = 0.0
        self._iteration_began = self._began

    def before_train(self, runner: Runner) -> None:
        """Restore the newest state, and listen to signals from here on."""
        state = self.states.newest()
        if state is None:
            self.states.clear()
        else:
            _restore(runner, state)
            runner.logger.info(
                "resumed after iteration %d, in epoch %d", state["iteration"], state["epoch"] + 1
            )
        self._began, self._since = time.monotonic(), runner.iter
        for number in SIGNALS:
            signal.signal(number, self._ask_to_stop)
        self._end_of_job = end_of_job() if is_main_process() else None
        self._report(runner, runner.iter, "training")

    def before_train_iter(
        self,
        runner: Runner,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
    ) -> None:
        """Note when the iteration began."""
        self._iteration_began = time.monotonic()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,  # noqa: ARG002
        outputs: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> None:
        """Save if it is time.

        Raises:
            Interrupted: A signal has asked for it.
        """
        done = runner.iter + 1
        took = time.monotonic() - self._iteration_began
        self._longest_iteration = max(self._longest_iteration, took)
        self._look_at_the_clock(runner)
        last = batch_idx + 1 == len(runner.train_dataloader)
        self._must_stop = self._must_stop or self._is_asked(done, last)
        self._must_save = self._must_save or self._must_stop or last or self._is_due(done)
        # Gradients that are still summed up are in no state.
        if self._must_save and runner.optim_wrapper.should_update():
            self._save(runner, done, batch_idx + 1)
            if self._must_stop:
                self._end(runner, done)
        if time.monotonic() - self._reported > PROGRESS_SECONDS:
            self._report(runner, done, "training")

    def before_val_epoch(self, runner: Runner) -> None:
        """Say that validation is on."""
        self._report(runner, runner.iter, "validating")

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
        outputs: Any = None,  # noqa: ARG002
    ) -> None:
        """End between two images of the validation, if there is a state to go on from.

        Raises:
            Interrupted: A signal has asked for it.
        """
        if world_size() == 1:
            self._look_at_the_clock(runner)
        # Several processes would have to agree here too; they end at the next iteration.
        if self._stop and world_size() == 1 and self._last_saved is not None:
            self._end(runner, self._last_saved)
        if time.monotonic() - self._reported > PROGRESS_SECONDS:
            self._report(runner, runner.iter, "validating")

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Say what the validation has found."""
        self._report(runner, runner.iter, "training")

    def after_train(self, runner: Runner) -> None:  # noqa: ARG002
        """Leave signals to others again; the states stay until the weights are written."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def _is_asked(self, done: int, last: bool) -> bool:
        """Whether any process was asked to end; several agree every few iterations."""
        if world_size() == 1:
            return self._stop is not None
        if not last and done % AGREE_EVERY:
            return False
        asked = next((name for name in gathered(self._stop) if name), None)
        self._stop = asked
        return asked is not None

    def _ask_to_stop(self, number: int, _frame: FrameType | None) -> None:
        self._stop = f"{signal.Signals(number).name} received"

    def _look_at_the_clock(self, runner: Runner) -> None:
        """Ask the job to end if its time is nearly up."""
        # Several processes agree only every few iterations, and gradients may be summed over some.
        summed = getattr(runner.optim_wrapper, "_accumulative_counts", 1)
        until_asked = self._longest_iteration * summed * (AGREE_EVERY if world_size() > 1 else 1)
        if self._stop is None and is_near(self._end_of_job, self._longest_save, until_asked):
            self._stop = "the job's time is nearly up"

    def _is_due(self, done: int) -> bool:
        if self.iterations is not None and done % self.iterations == 0:
            return True
        if self.minutes is None or (world_size() > 1 and done % AGREE_EVERY):
            return False
        return any_of(time.monotonic() - self._saved > 60 * self.minutes)

    def _save(self, runner: Runner, done: int, done_in_epoch: int) -> None:
        # What has diverged is no state to go on from.
        _history(runner).check(runner)
        self._saved, self._must_save = time.monotonic(), False
        state = _state(runner, done, done_in_epoch)
        if is_main_process():
            self.states.save(done, state)
        self._last_saved = done
        self._longest_save = max(self._longest_save, time.monotonic() - self._saved)

    def _end(self, runner: Runner, done: int) -> None:
        self._report(runner, done, "saved")
        raise Interrupted(f"{self._stop}: the state after iteration {done} is saved")

    def _report(self, runner: Runner, done: int, state: str) -> None:
        if not is_main_process():
            return
        now = time.monotonic()
        self._reported = now
        iterations = done - self._since
        write_json(
            self.progress,
            {
                "state": state,
                "epoch": min(runner.epoch + 1, runner.max_epochs),
                "epochs": runner.max_epochs,
                "iteration": done,
                "iterations": runner.max_iters,
                "seconds_per_iteration": (now - self._began) / iterations if iterations else None,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "slurm_job": os.environ.get("SLURM_JOB_ID"),
                "updated": time.time(),
                **_history(runner).shown(runner, is_validating=state == "validating"),
            },
        )


def _state(runner: Runner, done: int, done_in_epoch: int) -> dict[str, Any]:
    """All that training changes, after ``done`` iterations."""
    model = _unwrapped(runner)
    state = {
        "epoch": runner.epoch,
        "iteration": done,
        "done_in_epoch": done_in_epoch,
        "state_dict": model.state_dict(),
        "python_state": _python_state(model),
        "optimizer": runner.optim_wrapper.state_dict(),
        "schedulers": [scheduler.state_dict() for scheduler in runner.param_schedulers],
        "history": _history(runner).state(),
        "random": gathered(random_state()),
    }
    runner.call_hook("before_save_checkpoint", checkpoint=state)  # where averages join in
    return state


def _restore(runner: Runner, state: dict[str, Any]) -> None:
    """Put the runner to where :func:`_state` found it."""
    runner._resume = True  # what hooks ask that have a state of their own
    runner.call_hook("after_load_checkpoint", checkpoint=state)
    model = _unwrapped(runner)
    model.load_state_dict(state["state_dict"])
    for name, attributes in state["python_state"].items():
        module = model.get_submodule(name)
        for attribute, value in attributes.items():
            setattr(module, attribute, value)
    runner.optim_wrapper.load_state_dict(state["optimizer"])
    for scheduler, own in zip(runner.param_schedulers, state["schedulers"], strict=True):
        scheduler.load_state_dict(own)
    _history(runner).restore(state["history"])
    loop = runner.train_loop
    assert isinstance(loop, ResumableTrainLoop)
    same = len(state["random"]) == world_size()
    own = state["random"][get_rank()] if same else None
    loop.resume(state["epoch"], state["iteration"], state["done_in_epoch"], own)
    # The hook runs after MMEngine has counted from zero, which decides when gradients are applied.
    runner.optim_wrapper.initialize_count_status(runner.model, loop.iter, loop.max_iters)


def _python_state(model: nn.Module) -> dict[str, dict[str, Any]]:
    return {
        name: {key: list(getattr(module, key)) for key in PYTHON_STATE[type(module).__name__]}
        for name, module in model.named_modules()
        if type(module).__name__ in PYTHON_STATE
    }


def _history(runner: Runner) -> HistoryHook:
    return next(hook for hook in runner.hooks if isinstance(hook, HistoryHook))


def _unwrapped(runner: Runner) -> nn.Module:
    model: Any = runner.model
    unwrapped: nn.Module = model.module if is_model_wrapper(model) else model
    return unwrapped
