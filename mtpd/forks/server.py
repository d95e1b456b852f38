"""The process that jobs are forks of. It ends with the process that started it."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from signal import SIGTERM

from setproctitle import setproctitle

from mtpd.forks.ask import STARTED

STEPS = ("check", "train", "stage", "evaluate", "features", "costs", "order", "results", "report")
IMPORTED = (
    *("mtpd.cli", *(f"mtpd.steps.{step}" for step in STEPS)),
    # What MMEngine and our own functions import only when they use it.
    *("torch.utils.tensorboard", "torch.utils.cpp_extension", "matplotlib.pyplot"),
)
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
PROGRAM = "from mtpd.forks.server import serve; serve()"
TITLE = 1000
"""Characters of room for a job's title, which takes the place of the process's own arguments."""
WAITING = 64
"""Jobs that may wait for their fork."""


def start_forks() -> str:
    """Start the process that jobs are forks of, and give its address for their environment.

    It imports while this process goes on. It ends with this process, jobs that run do not.
    """
    folder = Path(tempfile.mkdtemp(prefix="mtpd-forks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address = str(folder / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(WAITING)
        server = subprocess.Popen(
            [sys.executable, "-P", "-c", PROGRAM, str(listener.fileno()), " " * TITLE],
            # One thread each: pools of threads are not forked. A job sets its own number.
            env={**os.environ, **dict.fromkeys(THREADS, "1")},
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,  # nothing is written: it closes when this process ends
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    atexit.register(_end, server)
    return address


def _end(server: subprocess.Popen[bytes]) -> None:
    server.kill()
    server.communicate()


def serve() -> None:
    """Fork a job for every request, until standard input is closed. Returns in forks, too."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    # It finds the place of the title now; it would not once a library has set an environment
    # variable.
    setproctitle("mtpd-forks")
    for name in IMPORTED:
        importlib.import_module(name)
    # Else a collection in a job writes to all pages that it shares with the others.
    gc.collect()
    gc.freeze()
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _look_after_job(connection)
            return
        connection.close()
        _reap()


def _look_after_job(connection: socket.socket) -> None:
    """Fork a job and end with it; only the job itself returns."""
    _, files, _, _ = socket.recv_fds(connection, 1, 4)
    job = os.fork()
    if job == 0:
        connection.close()
        _become(files)
        return
    connection.sendall(STARTED)
    threading.Thread(target=_hand_signals_on, args=(connection, job), daemon=True).start()
    _, status = os.waitpid(job, 0)
    try:
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    finally:
        os._exit(0)


def _hand_signals_on(connection: socket.socket, job: int) -> None:
    with contextlib.suppress(OSError):
        while numbers := connection.recv(16):
            for number in numbers:
                os.kill(job, number)
    # Whoever asked for the job is gone, such as by SIGKILL: nobody waits for its result.
    os.kill(job, SIGTERM)


def _become(files: list[int]) -> None:
    """Take the caller's place: files are its three streams and what it has asked for."""
    import numpy as np

    os.setsid()
    *streams, asked = files
    with os.fdopen(asked, encoding="utf-8") as file:
        request = json.load(file)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["mtpd", *request["arguments"]]
    setproctitle(" ".join(sys.argv))  # else all jobs look alike in `ps` and `top`
    # Else what is drawn without a seed is the same in every job.
    np.random.seed()  # noqa: NPY002 - the generator that libraries draw from

    from mtpd.cli import main

    main()


def _reap() -> None:
    """Let processes go that have looked after jobs which are done."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
