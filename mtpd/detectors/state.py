"""What the state of a training holds, and how a runner is put back to where it was saved.

The resumed training is the same as one that was never interrupted: weights, optimiser, schedule,
order of the data and random numbers all stand where they stood after the saved iteration.
"""

from __future__ import annotations

from typing import Any

from mmdet.registry import LOOPS
from mmengine.dist import get_rank
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from mtpd.detectors.hooks import HistoryHook
from mtpd.detectors.parallel import gathered, world_size
from mtpd.detectors.training_state import random_state, set_random_state

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


def state_of(runner: Runner, done: int, done_in_epoch: int) -> dict[str, Any]:
    """All that training changes, after ``done`` iterations.

    Args:
        runner: Between two iterations, with no gradients that are still summed up.
        done: Iterations that are done, in all epochs together.
        done_in_epoch: Those of the current epoch.
    """
    model = _unwrapped(runner)
    state = {
        "epoch": runner.epoch,
        "iteration": done,
        "done_in_epoch": done_in_epoch,
        "state_dict": model.state_dict(),
        "python_state": _python_state(model),
        "optimizer": runner.optim_wrapper.state_dict(),
        "schedulers": [scheduler.state_dict() for scheduler in runner.param_schedulers],
        "history": history_of(runner).state(),
        "random": gathered(random_state()),
    }
    runner.call_hook("before_save_checkpoint", checkpoint=state)  # where averages join in
    return state


def restore(runner: Runner, state: dict[str, Any]) -> None:
    """Put the runner to where :func:`state_of` found it."""
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
    history_of(runner).restore(state["history"])
    loop = runner.train_loop
    assert isinstance(loop, ResumableTrainLoop)
    same = len(state["random"]) == world_size()
    own = state["random"][get_rank()] if same else None
    loop.resume(state["epoch"], state["iteration"], state["done_in_epoch"], own)
    # The hook runs after MMEngine has counted from zero, which decides when gradients are applied.
    runner.optim_wrapper.initialize_count_status(runner.model, loop.iter, loop.max_iters)


def history_of(runner: Runner) -> HistoryHook:
    """The hook that notes what every epoch has measured."""
    return next(hook for hook in runner.hooks if isinstance(hook, HistoryHook))


def _python_state(model: nn.Module) -> dict[str, dict[str, Any]]:
    return {
        name: {key: list(getattr(module, key)) for key in PYTHON_STATE[type(module).__name__]}
        for name, module in model.named_modules()
        if type(module).__name__ in PYTHON_STATE
    }


def _unwrapped(runner: Runner) -> nn.Module:
    model: Any = runner.model
    unwrapped: nn.Module = model.module if is_model_wrapper(model) else model
    return unwrapped
