"""Jobs that start at once: one process has imported what they need, and every job is a fork of it.

A job of the micro experiment works for half a second, after eight seconds of imports. Snakemake's
shell finds a function ``mtpd`` by ``BASH_ENV``; it hands arguments, folder, environment and
output to that process, and ends as the fork ends. Signals to the shell do not reach the fork, so
tests of signals run the command itself.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ADDRESS = "MTPD_TEST_JOBS"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
NEEDED = (
    *(
        f"mtpd.steps.{step}"
        for step in ("check", "train", "stage", "evaluate", "features", "costs", "order")
    ),
    *("mtpd.steps.results", "mtpd.steps.report", "mtpd.cli"),
    *("torch.utils.tensorboard", "torch.utils.cpp_extension", "matplotlib.pyplot"),
)
LONGEST_REQUEST = 2**18  # bytes


@functools.cache
def forked_jobs() -> dict[str, str]:
    """Variables by which Snakemake's jobs are forks; starts what they are forks of."""
    folder = Path(tempfile.mkdtemp(prefix="mtpd-jobs-"))
    address, function = folder / "socket", folder / "function.sh"
    # -I and -S: it needs nothing but Python's own library, and starts in a few milliseconds.
    command = shlex.join([sys.executable, "-I", "-S", __file__, "ask"])
    function.write_text(f'mtpd() {{ {command} "$@"; }}\n')
    server = subprocess.Popen(
        [sys.executable, __file__, "serve", str(address)],
        env={**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    atexit.register(server.kill)
    while not address.exists():
        assert server.poll() is None, "the process that forks jobs has ended"
        time.sleep(0.05)
    return {"BASH_ENV": str(function), ADDRESS: str(address)}


def serve(address: str) -> None:
    """Fork a job for every request, until killed."""
    for name in NEEDED:
        importlib.import_module(name)
    main = importlib.import_module("mtpd.cli").main
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"{address}.new")
    listener.listen(16)
    Path(f"{address}.new").rename(address)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            break
        connection.close()
        reap()
    listener.close()
    request, outputs, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, 3)
    job = os.fork()
    if job:
        _, status = os.waitpid(job, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    connection.close()
    told = json.loads(request)
    for number, output in enumerate(outputs):
        os.dup2(output, number)
        os.close(output)
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.argv = ["mtpd", *told["arguments"]]
    main()


def reap() -> None:
    """Let processes go that have waited for their jobs."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def ask(arguments: list[str]) -> None:
    """Have a job forked, and end as it ends."""
    told = {"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(os.environ[ADDRESS])
    socket.send_fds(connection, [json.dumps(told).encode()], [0, 1, 2])
    status = int(connection.recv(16) or 1)
    if status < 0:
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        ask(sys.argv[2:])
