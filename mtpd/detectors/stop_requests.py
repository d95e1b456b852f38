"""What asks a training to end before it is done: a signal, or the end of its job's time."""

from __future__ import annotations

import signal
import time
from types import FrameType

from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mtpd.detectors.deadline import end_of_job, is_near
from mtpd.detectors.parallel import gathered, world_size
from mtpd.launch import SIGNALS

AGREE_EVERY = 10
"""Iterations after which several processes ask each other; each time costs a little."""


class StopRequests:
    """Listens to signals and looks at the clock.

    Attributes:
        reason: Why the training has to end; None: it may go on.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._end_of_job: float | None = None
        self._longest_save = self._longest_iteration = 0.0
        self._iteration_began = time.monotonic()

    def listen(self) -> None:
        """From here on, signals are requests; and ask when the job's time is up."""
        for number in SIGNALS:
            signal.signal(number, self._note)
        self._end_of_job = end_of_job() if is_main_process() else None

    @staticmethod
    def leave() -> None:
        """From here on, signals end the process again."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def begin_iteration(self) -> None:
        """Note when an iteration begins."""
        self._iteration_began = time.monotonic()

    def end_iteration(self) -> None:
        """Note how long it has taken."""
        took = time.monotonic() - self._iteration_began
        self._longest_iteration = max(self._longest_iteration, took)

    def note_save(self, seconds: float) -> None:
        """Note how long a save has taken."""
        self._longest_save = max(self._longest_save, seconds)

    def look_at_the_clock(self, runner: Runner) -> None:
        """Ask the training to end if its job's time is nearly up."""
        # Several processes agree only every few iterations, and gradients may be summed over some.
        summed = getattr(runner.optim_wrapper, "_accumulative_counts", 1)
        until_asked = self._longest_iteration * summed * (AGREE_EVERY if world_size() > 1 else 1)
        if self.reason is None and is_near(self._end_of_job, self._longest_save, until_asked):
            self.reason = "the job's time is nearly up"

    def is_agreed(self, done: int, *, last: bool) -> bool:
        """Whether all processes have to end now; several ask each other every few iterations.

        Args:
            done: Iterations that are done.
            last: Whether that was the last one of an epoch.
        """
        if world_size() == 1:
            return self.reason is not None
        if not last and done % AGREE_EVERY:
            return False
        self.reason = next((reason for reason in gathered(self.reason) if reason), None)
        return self.reason is not None

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.reason = f"{signal.Signals(number).name} received"
