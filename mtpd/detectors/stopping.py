"""Signals that ask a training to end, and the processes that load its images meanwhile.

A terminal, torchrun and batch systems signal whole groups of processes. What loads images must not
die of that: the training would die with it, before its state is saved.
"""

from __future__ import annotations

import signal
from typing import Any

from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner

from mtpd.launch import SIGNALS


@FUNCTIONS.register_module()
def ignore_stop_signals(_worker: int) -> None:
    """In a process that loads images: leave it to the training to end it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def end_loaders(runner: Runner) -> None:
    """End the processes that load images, however the training ended.

    Python would wait for them for ever when it exits, as they ignore its signal.
    """
    for loop in (runner._train_loop, runner._val_loop):
        # A loader with lasting processes keeps them in its iterator, and has no way to end them.
        iterator: Any = getattr(getattr(loop, "dataloader", None), "_iterator", None)
        if iterator is not None:
            iterator._shutdown_workers()
            for process in iterator._workers:
                process.kill()
