"""Starting ``mtpd``: by the jobs of the workflow, and once for each GPU that a training uses."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from mtpd.errors import DivergedError, Interrupted, UserError
from mtpd.files import whole_file

LAUNCHED = "TORCHELASTIC_RUN_ID"
"""Set by torchrun in every process that it starts."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
"""Ask a job to end: sent by Slurm and ``kill``, by Ctrl-C, by Slurm where it is asked to, and by a
terminal that closes."""

SAID = "MTPD_SAID"
"""Names the folder in which a process of those that train together says how it has ended."""

STOP_SECONDS = 110
"""How long processes may take to save their state: the profile's --signal=TERM@120, less a bit."""

PR_SET_PDEATHSIG = 1

_INTERRUPTED, _FAILED = "interrupted", "failed"


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


def hand_termination_on() -> None:
    """In a step of Slurm's, hand SIGTERM on to all processes that this one has started.

    Where Slurm tracks processes by control groups it tells only the process that it started
    itself. That is Snakemake, which then waits for its job, but does not tell it. Snakemake sets a
    handler of its own later; so this one listens behind it.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or "SLURM_STEP_ID" not in os.environ:
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_hand_termination_on, args=(reading,), daemon=True).start()


def _hand_termination_on(reading: int) -> None:
    import psutil  # not at the start of every command

    while received := os.read(reading, 1):
        if received[0] == signal.SIGTERM:
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.terminate()


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
        UserError: One of them has failed by it.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--shutdown-timeout", str(STOP_SECONDS)]
    command += ["--nproc-per-node", str(processes), "-m", "mtpd.cli", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, SAID: folder}
        job = subprocess.Popen(command, preexec_fn=_before_torchrun, env=environment)
        asked = _hand_signals_on(job)
        status = job.wait()
        interrupted, failed = Path(folder) / _INTERRUPTED, Path(folder) / _FAILED
        if interrupted.exists():
            raise Interrupted(interrupted.read_text(encoding="utf-8"))
        if status and failed.exists():
            said = json.loads(failed.read_text(encoding="utf-8"))
            kind = DivergedError if said.pop("diverged") else UserError
            raise kind(**said)
    if status and asked:
        raise Interrupted(f"{asked[0]} received before a state could be saved")
    return status


def say_interrupted(event: Interrupted) -> None:
    """Tell the process that started this one, if there is one, that a state was saved."""
    _say(_INTERRUPTED, str(event))


def say_failed(error: UserError) -> bool:
    """Tell the process that started this one what has failed; gives whether there is one."""
    said = {"where": error.where, "problem": error.problem, "remedy": error.remedy}
    return _say(_FAILED, json.dumps({**said, "diverged": isinstance(error, DivergedError)}))


def _say(name: str, text: str) -> bool:
    folder = os.environ.get(SAID)
    if not is_launched() or folder is None:
        return False
    with whole_file(Path(folder) / name) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return True


def _hand_signals_on(job: subprocess.Popen[bytes]) -> list[str]:
    """Hand signals that ask for an end on to torchrun; returns what will hold their names."""
    asked: list[str] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)
        job.send_signal(signal.SIGTERM)  # the one that torchrun hands on to its processes

    for number in SIGNALS:
        signal.signal(number, hand_on)
    return asked
