"""Has a command run by a fork, and ends as that ends. Run by its path: it starts in milliseconds.

It imports nothing but Python's own library, so that it may run without site-packages (``-I -S``).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from types import FrameType

ADDRESS = "MTPD_FORKS"
"""Environment variable: the socket of the process that forks jobs."""

STARTED = b"s"
"""Sent once a job was forked; what follows is its exit status, negative for a signal."""

HANDED_ON = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP),
    *(signal.SIGTSTP, signal.SIGCONT),
)


def ask(arguments: list[str]) -> None:
    """Run ``mtpd`` with ``arguments`` in a fork, or in this process if there is none to be had."""
    connection = _started(arguments)
    if connection is None:
        os.execvp("mtpd", ["mtpd", *arguments])
    _hand_signals_on(connection)
    told = b""
    while part := connection.recv(16):
        told += part
    if not told:
        sys.exit("error: the process that forks jobs has ended before the job")
    status = int(told)
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def _started(arguments: list[str]) -> socket.socket | None:
    """The connection by which a job was started, if one was."""
    told = {"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    connection = socket.socket(socket.AF_UNIX)
    # In a file, as an environment may be larger than a message.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as request:
        json.dump(told, request)
        request.seek(0)
        try:
            connection.connect(os.environ[ADDRESS])
            socket.send_fds(connection, [STARTED], [0, 1, 2, request.fileno()])
            is_started = connection.recv(1) == STARTED
        except OSError:
            is_started = False
    return connection if is_started else None


def _hand_signals_on(connection: socket.socket) -> None:
    def hand_on(number: int, _frame: FrameType | None) -> None:
        # A job in a session of its own ignores Ctrl-Z.
        stops = number == signal.SIGTSTP
        with contextlib.suppress(OSError):  # it has ended, and what it was is read next
            connection.send(bytes([signal.SIGSTOP if stops else number]))
        if stops:
            os.kill(os.getpid(), signal.SIGSTOP)

    for number in HANDED_ON:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, hand_on)


if __name__ == "__main__":
    ask(sys.argv[1:])
