"""Starting ``mtpd``: by the jobs of the workflow, and once for each GPU that a training uses."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from mtpd.errors import Interrupted

LAUNCHED = "TORCHELASTIC_RUN_ID"
"""Set by torchrun in every process that it starts."""


PR_SET_PDEATHSIG = 1


def put_command_on_path() -> None:
    """Let jobs find the ``mtpd`` command of this interpreter's environment, activated or not."""
    here = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", os.defpath)])


def is_launched() -> bool:
    """Whether this process is one of several that train together."""
    return LAUNCHED in os.environ


def _die_with_parent() -> None:
    """Get SIGTERM when the parent dies, however it dies: it holds the GPUs' lease."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def launch(processes: int, arguments: Sequence[str]) -> int:
    """Run ``mtpd`` with ``arguments`` in so many processes; gives the exit status.

    Signals that ask a job to end are handed on, so that the processes save their state.

    Raises:
        Interrupted: They were asked to end, and did.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), "-m", "mtpd.cli", *arguments]
    job = subprocess.Popen(command, preexec_fn=_die_with_parent)
    asked: list[str] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)
        job.send_signal(signal.SIGTERM)  # the one that torchrun hands on to its processes

    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, hand_on)
    status = job.wait()
    if status and asked:
        raise Interrupted(f"{asked[0]} received: see above for the iteration that is saved")
    return status
