"""How long each job of a running workflow takes, and how much memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from mtpd.files import read_json, write_json

PAUSE = 0.25
OPTIONS = ("--detector", "--method", "--teacher", "--chain")


@dataclass
class Job:
    """What was seen of one ``mtpd`` process.

    Attributes:
        experiment: Name of the experiment; ``zoo`` where it fetched weights for all.
        step: The command, such as ``stage``.
        what: What it was for: detector, method, teacher, chain.
        seconds: From its start until it was last seen.
        peak_gib: Most memory that it had at once, its loading processes not counted.
    """

    experiment: str
    step: str
    what: str
    seconds: float = 0.0
    peak_gib: float = 0.0


@contextmanager
def watched(process: int, records: Path, names: Collection[str]) -> Iterator[None]:
    """Watch the jobs below ``process`` while the body runs, and add them to ``records``.

    That folder gets a file for each of the experiments called ``names``. A job that is there
    already has run again.
    """
    jobs: dict[int, Job] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(PAUSE):
            _look(process, jobs, names)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        for name in {job.experiment for job in jobs.values()}:
            record = records / f"{name}.json"
            known: dict[str, Any] = read_json(record) if record.is_file() else {}
            own = [job for job in jobs.values() if job.experiment == name]
            write_json(record, known | {f"{job.step} {job.what}": asdict(job) for job in own})


def _look(process: int, jobs: dict[int, Job], names: Collection[str]) -> None:
    try:
        children = psutil.Process(process).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for child in children:
        try:
            command = _command(child)
            step = _step(command)
            if step is None or _step(_command(child.parent())) is not None:
                continue  # no job, or a loading process of one
            job = jobs.setdefault(child.pid, Job(_experiment(command, names), step, _what(command)))
            job.seconds = round(time.time() - child.create_time(), 1)
            job.peak_gib = max(job.peak_gib, round(_peak(child.pid) / 2**20, 2))
        except (psutil.Error, OSError, AttributeError):
            continue  # it has ended meanwhile


def _command(process: psutil.Process) -> list[str]:
    """Its arguments; a fork has all of them in its title, which is filled up with nothing."""
    return " ".join(process.cmdline()).split()


def _step(command: list[str]) -> str | None:
    """The command of ``mtpd`` that a process runs, if it runs one."""
    # A process of its own has Python before it; a fork has the command as its title.
    for name, following in pairwise(command[:3]):
        if Path(name).name == "mtpd":
            return following
    return None


def _experiment(command: list[str], names: Collection[str]) -> str:
    return next((part for part in command if part in names), "zoo")


def _what(command: list[str]) -> str:
    return " ".join(value for option, value in pairwise(command) if option in OPTIONS)


def _peak(pid: int) -> float:
    """Largest resident set of a process so far, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1])
    return 0.0
