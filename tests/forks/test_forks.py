"""A job that is a fork behaves as the command would as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml
from micro import MICRO, PROJECT, changed
from running import forks

from mtpd.forks import ask
from mtpd.forks.ask import ADDRESS

pytestmark = pytest.mark.xdist_group("forks")

LONGEST = 120  # seconds
SETTINGS = changed(
    MICRO, ("data.train", 32), ("training.epochs", 200), ("training.decay_at", ...),
    ("teachers", {"a": MICRO["teachers"]["a"]}), ("runs", {}), ("ordering", {}),
    ("saving", {"minutes": None}),
)  # fmt: skip


def asked(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """``mtpd`` with ``arguments`` in ``folder``, run by a fork."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", ask.__file__, *arguments],
        cwd=folder,
        env={**os.environ, **forks(), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def output(folder: Path, *arguments: str, **environment: str) -> tuple[str, int]:
    job = asked(folder, *arguments, **environment)
    told, _ = job.communicate(timeout=LONGEST)
    return told, job.returncode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One with a long training that is ready to start."""
    (tmp_path / "micro.yaml").write_text(yaml.safe_dump(SETTINGS))
    told, status = output(tmp_path, "data", "prepare", "micro.yaml")
    assert status == 0, told
    return tmp_path


@pytest.fixture
def training(folder: Path) -> subprocess.Popen[str]:
    """A training that has begun."""
    job = asked(folder, "train", "micro.yaml", "--detector", "student")
    wait_until(lambda: progress(folder).exists() or job.poll() is not None)
    assert job.poll() is None, job.communicate()[0]
    return job


def progress(folder: Path) -> Path:
    return folder / "results" / "micro" / "detectors" / "student" / "progress.json"


def wait_until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + LONGEST
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def trainings(folder: Path) -> list[psutil.Process]:
    """Forks that work in ``folder``."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        title = " ".join(process.info["cmdline"] or ())
        is_fork = title.startswith("mtpd ")
        if process.info["cwd"] == str(folder) and is_fork:
            found.append(process)
    return found


def test_output_and_status_are_the_commands(tmp_path: Path) -> None:
    told, status = output(tmp_path, "check", "missing.yaml", "--detector", "student")
    assert status == 1
    own = subprocess.run(
        [sys.executable, "-m", "mtpd.cli", "check", "missing.yaml", "--detector", "student"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told, status) == (own.stderr, own.returncode)
    assert told.startswith("error: missing.yaml: ")


def test_the_environment_is_the_callers(tmp_path: Path) -> None:
    """Also where it is larger than what a socket takes at once."""
    large = {f"LARGE_{number}": "x" * 100_000 for number in range(4)}
    told, _ = output(tmp_path, "data", "prepare", "none.yaml", MTPD_WORKFLOW="{", **large)
    assert told.startswith("error: MTPD_WORKFLOW: ")
    told, _ = output(tmp_path, "data", "prepare", "none.yaml")
    assert told.startswith("error: none.yaml: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_handed_on(
    folder: Path, training: subprocess.Popen[str], number: signal.Signals
) -> None:
    training.send_signal(number)
    told, _ = training.communicate(timeout=LONGEST)
    assert training.returncode == os.EX_TEMPFAIL
    assert f"interrupted: {number.name} received: the state after iteration " in told
    assert not trainings(folder)


def test_a_job_stops_and_continues_with_its_terminal(
    folder: Path, training: subprocess.Popen[str]
) -> None:
    (job,) = trainings(folder)
    assert " ".join(job.cmdline()).strip() == "mtpd train micro.yaml --detector student"
    training.send_signal(signal.SIGTSTP)
    wait_until(lambda: job.status() == psutil.STATUS_STOPPED)
    wait_until(lambda: psutil.Process(training.pid).status() == psutil.STATUS_STOPPED)
    training.send_signal(signal.SIGCONT)
    wait_until(lambda: job.status() != psutil.STATUS_STOPPED)
    before = progress(folder).read_text()
    wait_until(lambda: progress(folder).read_text() != before)
    training.terminate()
    training.communicate(timeout=LONGEST)
    assert training.returncode == os.EX_TEMPFAIL


def test_a_job_whose_caller_was_killed_saves_and_ends(
    folder: Path, training: subprocess.Popen[str]
) -> None:
    training.kill()
    assert "the state after iteration " in training.communicate(timeout=LONGEST)[0]
    wait_until(lambda: not trainings(folder))


def test_a_killed_job_is_told_as_such(folder: Path, training: subprocess.Popen[str]) -> None:
    (job,) = trainings(folder)
    job.kill()
    training.communicate(timeout=LONGEST)
    assert training.returncode == -signal.SIGKILL


def test_without_the_process_the_command_runs_by_itself(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    gone = str(tmp_path / "no-socket")
    told, status = output(
        tmp_path, "check", "missing.yaml", "--detector", "x", PATH=path, **{ADDRESS: gone}
    )
    assert status == 1
    assert told.startswith("error: missing.yaml: ")


@pytest.mark.parametrize("is_killed", [False, True])
def test_the_process_ends_with_the_one_that_started_it(is_killed: bool) -> None:
    code = (
        "import sys; from mtpd.forks.server import start_forks; "
        "print(start_forks(), flush=True); sys.stdin.read()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    address = Path(starter.stdout.readline().strip())
    assert address.is_socket()
    (server,) = psutil.Process(starter.pid).children()
    if is_killed:
        starter.kill()
    starter.communicate()
    server.wait(LONGEST)
    assert is_killed or not address.parent.exists()
