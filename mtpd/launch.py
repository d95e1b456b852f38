"""Starting ``mtpd``: by the jobs of the workflow, and once for each GPU that a training uses."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from mtpd.errors import Interrupted

LAUNCHED = "TORCHELASTIC_RUN_ID"
"""Set by torchrun in every process that it starts."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
"""Ask a job to end: sent by Slurm and ``kill``, by Ctrl-C, by Slurm where it is asked to, and by a
terminal that closes."""

SAID = "MTPD_INTERRUPTED"
"""Names the file in which a process that train together says that it has saved its state."""

STOP_SECONDS = 110
"""How long processes may take to save their state: the profile's --signal=TERM@120, less a bit."""

PR_SET_PDEATHSIG = 1


def put_command_on_path() -> None:
    """Let jobs find the ``mtpd`` command of this interpreter's environment, activated or not."""
    here = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", os.defpath)])


def end_with_the_terminal() -> None:
    """Let Snakemake end as by Ctrl-C when its terminal closes: it unlocks the folder then.

    Where the signal is ignored already, as under ``nohup``, it stays ignored.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def is_launched() -> bool:
    """Whether this process is one of several that train together."""
    return LAUNCHED in os.environ


def _before_torchrun() -> None:
    """Get SIGTERM when the parent dies, however it dies: it holds the GPUs' lease.

    A signal to the whole group that torchrun does not know is left to the processes themselves.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def launch(processes: int, arguments: Sequence[str]) -> int:
    """Run ``mtpd`` with ``arguments`` in so many processes; gives the exit status.

    Signals that ask a job to end are handed on, so that the processes save their state.

    Raises:
        Interrupted: They were asked to end, and did.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--shutdown-timeout", str(STOP_SECONDS)]
    command += ["--nproc-per-node", str(processes), "-m", "mtpd.cli", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        environment = {**os.environ, SAID: str(said)}
        job = subprocess.Popen(command, preexec_fn=_before_torchrun, env=environment)
        asked = _hand_signals_on(job)
        status = job.wait()
        if said.exists():
            raise Interrupted(said.read_text(encoding="utf-8"))
    if status and asked:
        raise Interrupted(f"{asked[0]} received before a state could be saved")
    return status


def say_interrupted(event: Interrupted) -> None:
    """Tell the process that started this one, if there is one, that a state was saved."""
    path = os.environ.get(SAID)
    if is_launched() and path is not None:
        Path(path).write_text(str(event), encoding="utf-8")


def _hand_signals_on(job: subprocess.Popen[bytes]) -> list[str]:
    """Hand signals that ask for an end on to torchrun; returns what will hold their names."""
    asked: list[str] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)
        job.send_signal(signal.SIGTERM)  # the one that torchrun hands on to its processes

    for number in SIGNALS:
        signal.signal(number, hand_on)
    return asked
