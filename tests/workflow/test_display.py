"""What real runs show: in a file, on a terminal, and when they fail or are ended."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from micro import PROJECT
from running import Project
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = pytest.mark.xdist_group("workflow")

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def one_of_each(trained: list[str]) -> bool:
    """Whether each was trained once: the student and two teachers are equal, and so two stages."""
    same = [{"train student", "train a", "train c"}, {"stage fm a", "stage fm c"}]
    rest = [job for job in trained if not any(job in jobs for jobs in same)]
    return len(trained) == 4 and rest == ["stage fm a+b", "train b"]


@pytest.mark.slow
def test_a_file_has_plain_lines(shown: str) -> None:
    """Every job once when it starts and once when it ends, every epoch once, and the sum."""
    lines = [line[9:] for line in shown.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert lines[0] == (
        "24 jobs to run: 1 data, 4 check, 3 check_pair, 4 train, 4 evaluate_detector, 3 stage, "
        "2 evaluate_stage, 1 report, 1 results, 1 all"
    )
    starts = sorted(line for line in lines if line.startswith("started: "))
    assert len(starts) == len(set(starts)) == 23
    ends = [re.match(r"(\d+) of 24 done: (.*?)(?:,|$)", line) for line in lines]
    found = [(int(end[1]), end[2]) for end in ends if end]
    assert [number for number, _ in found] == list(range(1, 25))
    assert sorted(f"started: {job}" for _, job in found if job != "all") == starts
    (first,) = [line for line in lines if line.startswith("1 of 24 done: ")]
    assert re.fullmatch(r"1 of 24 done: micro: data, in \d+ s; about \d.* left", first)
    epochs = [line for line in lines if "epoch 1" in line]
    for line in epochs:
        assert re.match(r"micro: \S+ .*: epoch 1(/1)?, loss \d+(\.\d+)?(, AP \d+\.\d)?, ", line), (
            line
        )
    trained = sorted(line.split(":")[1].strip() for line in epochs)
    assert one_of_each(trained)
    taken = [line for line in lines if "done: micro: train" in line and "from the store" in line]
    assert len(taken) == 2
    assert re.fullmatch(r"all 24 jobs done in .*", lines[-2])
    assert re.fullmatch(r"Snakemake's own log.*: /.*\.snakemake\.log", lines[-1])
    assert "Provided cores" not in shown
    assert "Provided cores" in Path(lines[-1].rpartition(": ")[2]).read_text()


def test_every_training_has_curves(finished: Project) -> None:
    """Where it was trained here, and not taken from the store."""
    events = sorted(finished.results.rglob("events.out.tfevents.*"))
    folders = [path.parent.parent for path in events]
    trained = [f"train {folder.name}" for folder in folders if folder.parent.name == "detectors"]
    trained += [f"stage fm {folder.name}" for folder in folders if folder.parent.name == "fm"]
    assert one_of_each(sorted(trained))
    curves = EventAccumulator(str(finished.results / "stages" / "fm" / "a+b" / "tensorboard"))
    curves.Reload()
    assert {"loss", "loss_distill_feature_matching", "coco/bbox_mAP"} <= {*curves.Tags()["scalars"]}
    kept = {path.name for path in (finished.folder / ".mtpd-store").rglob("*") if path.is_file()}
    assert not any(name.startswith("events.") for name in kept)


def never(_text: str) -> bool:
    """Of no picture."""
    return False


class Terminal:
    """Snakemake on a terminal of its own."""

    def __init__(self, project: Project, *arguments: str) -> None:
        command = [
            sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"),
            "--configfile", str(project.folder / "config.yaml"), "--cores", "2", *arguments,
        ]  # fmt: skip
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            signal.signal(
                signal.SIGINT, signal.SIG_DFL
            )  # ignored where tests run in the background
            # They would count for more than the terminal's size. Python's readline sets them
            # without telling `os.environ`, so the environment is handed on by hand.
            environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(PROJECT)}
            for name in ("COLUMNS", "LINES"):
                environment.pop(name, None)
            os.chdir(project.folder)
            os.execve(command[0], command, environment)
        self.output = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._file, keys)

    def read_until(self, is_enough: Callable[[str], object], seconds: float = 300) -> None:
        """Read on until that is so of the last pictures."""
        end = time.monotonic() + seconds
        while not is_enough(CONTROL.sub("", self.output[-20_000:].decode(errors="replace"))):
            assert time.monotonic() < end, self.text[-3000:]
            ready, _, _ = select.select([self._file], [], [], 1)
            try:
                read = os.read(self._file, 65536) if ready else b""
            except OSError:  # it has ended
                if is_enough is never:
                    break
                raise AssertionError(self.text[-3000:]) from None
            self.output += read

    @property
    def text(self) -> str:
        return CONTROL.sub("", self.output.decode(errors="replace"))

    def status(self) -> int:
        """Wait for the end; gives the exit status."""
        self.read_until(never)
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def end(self) -> None:
        if self.pid:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._file)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(project: Project, *arguments: str) -> Terminal:
        opened.append(Terminal(project, *arguments))
        return opened[-1]

    yield start
    for one in opened:
        one.end()


@pytest.mark.slow
def test_a_terminal_that_is_resized_and_ended_by_ctrl_c(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    """The picture shows a training's epochs and loss; the next run goes on and shows the rest."""
    project = Project(tmp_path)
    project.write(("training.epochs", 60), ("training.decay_at", ...))
    target = "results/micro/detectors/student/model.pth"
    screen = terminal(project, target)
    screen.resize(40, 120)
    shown = re.compile(r"├─ student +running +(\d+)/60 +\d+/120 +\d\.\d+ +\d+\.\d ")
    screen.read_until(shown.search)
    screen.resize(30, 64)
    # Without the column of iterations, for which there is no room now.
    narrow = re.compile(r"├─ student +(running|validating) +\d+/60 +\d\.")
    screen.read_until(narrow.search)
    screen.type(b"\x03")
    assert screen.status() != 0, screen.text[-3000:]
    text = screen.text
    assert "interrupted: micro: train student (after " in text
    assert "interrupted: SIGINT received: the state after iteration " in text
    assert "the same command goes on from here" in text
    assert "Traceback" not in text
    assert screen.output.rindex(b"\x1b[?25h") > screen.output.rindex(b"\x1b[?25l")
    known = int(re.findall(r"student +interrupted +(\d+)/60", text)[-1])
    lines = project.run(target).splitlines()
    epochs = [int(found[1]) for line in lines if (found := re.search(r": epoch (\d+)", line))]
    assert epochs == list(range(epochs[0], 61))
    assert epochs[0] in (known, known + 1)


def test_a_plugin_that_is_missing_is_said(tmp_path: Path) -> None:
    """Snakemake's own output is there then, with a line that says what to do."""
    project = Project(tmp_path / "project")
    project.write()
    site = tmp_path / "site"
    site.mkdir()
    (site / "mtpd").symlink_to(PROJECT / "mtpd")
    hide = "import sys\nsys.modules['snakemake_logger_plugin_mtpd'] = None\n"
    (site / "sitecustomize.py").write_text(hide)
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT / "Snakefile"),
        "--configfile", "config.yaml", "--cores", "1", "--", "results/micro/data/dataset.json",
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "display of runs is missing" in done.stderr
    assert "pip install -e ." in done.stderr
    assert "1 of 1 steps (100%) done" in done.stderr
