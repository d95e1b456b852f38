"""The status is told from files alone: written here as the jobs write them, in every state."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mtpd.errors import UserError
from mtpd.experiment.load import load_experiment
from mtpd.experiment.runs import order_settings
from mtpd.files import digest_of
from mtpd.layout import Layout, ModelFolder
from mtpd.overview.status import (
    FRESH_SECONDS,
    ExperimentStatus,
    ModelStatus,
    collect_status,
    last_error,
)
from mtpd.reporting.status import print_status
from mtpd.reporting.tree import tree_of, tree_table
from mtpd.reporting.words import duration

NOW = 1_700_000_000.0
LOG_LINE = "11/14 22:13:20 - mmengine - INFO - Epoch(train) [1][2/2]  lr: 1.0e-03  loss: 1.5\n"
TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "train.py", line 3, in <module>\n'
    "    model(images)\n"
    "    ^^^^^^^^^^^^^\n"
    "RuntimeError: CUDA out of memory\n"
)
USER_ERROR = "error: epoch 1: training has diverged: loss is not finite; lower the rate\n"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "results", "micro")


@pytest.fixture
def status(write_experiment: Any, layout: Layout) -> Callable[..., ExperimentStatus]:
    def of(*changes: tuple[str, Any], now: float = NOW) -> ExperimentStatus:
        return collect_status(load_experiment(write_experiment(*changes)), layout, now)

    return of


def write(path: Path, text: str = "", at: float = NOW) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def write_progress(folder: ModelFolder, at: float = NOW, **changes: Any) -> None:
    """As a training job does, at a moment by the file's clock."""
    progress = {
        "epoch": 3,
        "epochs": 12,
        "iteration": 230,
        "iterations": 960,
        "seconds_per_iteration": 0.5,
        "host": "gpu01",
        "pid": 4711,
        "slurm_job": None,
        "updated": at,
        "state": "training",
        **changes,
    }
    write(folder.progress, json.dumps(progress), at)


def student(status: ExperimentStatus) -> ModelStatus:
    return status.detectors[0]


def stages_of(status: ExperimentStatus, name: str) -> tuple[ModelStatus, ...] | None:
    return next(run.stages for run in status.runs if run.name == name)


def printed(status: ExperimentStatus, width: int = 120) -> str:
    output = io.StringIO()
    print_status(status, Console(file=output, width=width, highlight=False))
    return output.getvalue()


# States


def test_nothing_has_run(status: Any) -> None:
    found = status()
    assert [detector.name for detector in found.detectors] == ["student", "a", "b", "c"]
    assert {model.state for model in found.models()} == {"waiting"}
    assert [stage.name for stage in stages_of(found, "progressive")] == ["a", "b"]
    assert stages_of(found, "direct") is None
    assert found.failures == ()
    assert "0 of 6 trained; 6 waiting; order not decided yet: direct" in printed(found)


def test_weights_that_could_not_be_fetched(status: Any, layout: Layout) -> None:
    url = "http://weights.example/model-0123abcd.pth"
    log = layout.fetched("model-0123abcd.pth").with_suffix(".log")
    write(log, f"INFO fetching {url}\nerror: {url}: cannot be fetched (404); put it there\n")
    found = status(("teachers.a.weights", url))
    (failed,) = [detector for detector in found.detectors if detector.state == "failed"]
    assert failed.name == "a"
    assert "cannot be fetched (404)" in failed.failures[0].line


def test_done(status: Any, layout: Layout) -> None:
    write(layout.detector("student").weights)
    write_progress(layout.detector("student"))  # its last words are of no more interest
    write(layout.detector("student").log("train"), TRACEBACK)
    assert student(status()).state == "done"
    assert student(status()).progress is None
    assert student(status()).failures == ()


def test_running(status: Any, layout: Layout) -> None:
    write_progress(layout.detector("student"))
    write_progress(layout.stage("fm", "a"), slurm_job="99", state="validating")
    found = status(now=NOW + 10)
    assert student(found).state == "running"
    assert student(found).progress.seconds_left == 0.5 * (960 - 230)
    first, second = stages_of(found, "progressive")
    assert (first.state, second.state) == ("running", "waiting")
    text = " ".join(printed(found).split())
    assert "student running 3/12 230/960 6 min gpu01, process 4711 ├─ a waiting" in text
    assert "a validating 3/12 230/960 6 min gpu01, Slurm job 99 └─ b progressive" in text


def test_how_a_training_goes(status: Any, layout: Layout) -> None:
    done = [
        {"epoch": 1, "loss": 2.0, "ap": 0.1, "images_per_second": 9.0},
        {"epoch": 2, "loss": 1.5, "ap": None},
    ]
    folder = layout.detector("student")
    write_progress(folder, loss=1.234, images_per_second=12.345, done=done)
    found = student(status())
    assert found.ap == 0.1  # of the last epoch that was validated
    text = " ".join(printed(status()).split())
    assert "student running 3/12 230/960 1.23 10.0 12.3 6 min gpu01" in text


def test_what_a_training_has_come_to(status: Any, layout: Layout) -> None:
    folder = layout.detector("student")
    write(folder.weights)
    epochs = [
        {"iterations": 10, "train": {"loss": loss}, "val": {"bbox_mAP": ap}}
        for loss, ap in ((2.0, 0.1), (1.0, 0.215))
    ]
    write(folder.history, json.dumps({"epochs": epochs}))
    assert "student done 2 1 21.5 " in " ".join(printed(status()).split())
    write(folder.history, json.dumps({"epochs": epochs[:1]}), at=NOW + 1)
    assert student(status()).ap == 0.1
    write(folder.history, "{")
    assert student(status()).epochs == ()


def test_chains_that_begin_alike_share_their_stages(status: Any) -> None:
    runs = {
        "long": {"method": "fm", "order": ["a", "b", "c"]},
        "short": {"method": "fm", "order": ["a", "b"]},
        "other": {"method": "fm", "order": ["a", "c"]},
    }
    lines = [line.rstrip() for line in printed(status(("runs", runs))).splitlines()]
    assert [line.replace("waiting", "").rstrip() for line in lines[-5:]] == [
        "fm",
        "└─ a",
        "   ├─ b  short",
        "   │  └─ c  long",
        "   └─ c  other",
    ]


def test_a_low_terminal_shows_what_happens(status: Any, layout: Layout) -> None:
    for name in ("student", "a"):
        write(layout.detector(name).weights)
    write_progress(layout.stage("fm", "a+b"))
    write(layout.detector("c").log("train"), USER_ERROR)
    output = io.StringIO()
    table = tree_table(tree_of(status()), 120, height=9)
    Console(file=output, width=120).print(table)
    lines = [line.split()[:3] for line in output.getvalue().splitlines()]
    assert len(lines) <= 9
    assert [line for line in lines[1:] if line] == [
        ["detectors"],
        ["└─", "c", "failed"],
        ["fm"],
        ["└─", "a", "waiting"],
        ["└─", "b", "progressive"],
        ["not", "shown:", "2"],
    ]


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(0, "running"), (FRESH_SECONDS, "running"), (FRESH_SECONDS + 1, "interrupted")],
)
def test_a_job_that_writes_nothing_any_more(
    status: Any, layout: Layout, seconds: float, state: str
) -> None:
    write_progress(layout.detector("student"))
    found = status(now=NOW + seconds)
    assert student(found).state == state
    assert ("6 min" in printed(found)) == (state == "running")


def test_a_job_that_saved_and_ended(status: Any, layout: Layout) -> None:
    write_progress(layout.detector("student"), state="saved")
    write(layout.detector("student").log("train"), LOG_LINE + "interrupted: SIGTERM received\n")
    assert student(status()).state == "interrupted"
    assert "student interrupted 3/12 230/960 gpu01" in " ".join(printed(status()).split())


def test_a_long_validation_is_alive_while_it_logs(status: Any, layout: Layout) -> None:
    write_progress(layout.detector("student"), at=NOW - 2000, state="validating")
    assert student(status()).state == "interrupted"
    write(layout.detector("student").log("train"), LOG_LINE, at=NOW - 20)
    assert student(status()).state == "running"


def test_before_the_first_iteration(status: Any, layout: Layout) -> None:
    write_progress(layout.detector("student"), iteration=0, epoch=1, seconds_per_iteration=None)
    assert student(status()).progress.seconds_left is None
    assert "0/960" in printed(status())


# Clocks


@pytest.mark.parametrize(
    ("updated", "modified", "state"),
    [
        (+3600, 0, "running"),  # the job's clock is ahead
        (-3600, 0, "running"),  # … or behind
        (+3600, -3600, "interrupted"),  # … and the job is gone
        (-3600, -3600, "interrupted"),
        (+3600, +3600, "running"),  # this machine's clock is behind
        (+3600, -10, "running"),
        (0, -3600, "running"),  # the file server's clock is behind
    ],
)
def test_clocks_that_differ(
    status: Any, layout: Layout, updated: float, modified: float, state: str
) -> None:
    write_progress(layout.detector("student"), at=NOW + modified, updated=NOW + updated)
    assert student(status()).state == state


@pytest.mark.parametrize(("iteration", "speed"), [(970, 0.5), (230, -0.5)])
def test_no_time_is_negative(status: Any, layout: Layout, iteration: int, speed: float) -> None:
    folder = layout.detector("student")
    write_progress(folder, iteration=iteration, seconds_per_iteration=speed)
    found = status(now=NOW - 50)
    assert student(found).progress.seconds_left == 0
    assert "-" not in printed(found).split("\n", 1)[1]


# Failures


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (USER_ERROR, USER_ERROR.strip()),
        (LOG_LINE + USER_ERROR, USER_ERROR.strip()),
        (LOG_LINE + TRACEBACK, "RuntimeError: CUDA out of memory"),
        (TRACEBACK + "\n\n", "RuntimeError: CUDA out of memory"),
        (TRACEBACK + "[W] destroy_process_group() was not called\n", "RuntimeError: CUDA out of"),
        (TRACEBACK + "with a second line\n", "RuntimeError: CUDA out of memory"),
        (
            TRACEBACK + "\nDuring handling of the above exception, another exception occurred:\n\n"
            "Traceback (most recent call last):\n" + '  File "a.py"\n' * 60 + "OSError: disk\n",
            "OSError: disk",
        ),
        ("error: \x1b[31mred\x1b[0m and a bell\x07\n", "error: red and a bell"),
        ("x" * 200_000 + "\n" + USER_ERROR, USER_ERROR.strip()),
        ("café\n".encode("latin-1").decode("utf-8", "replace") + USER_ERROR, USER_ERROR.strip()),
        (LOG_LINE, None),
        (TRACEBACK + LOG_LINE, None),
        (USER_ERROR + LOG_LINE, None),
        (USER_ERROR + "other\n" * 100, None),
        ("Traceback (most recent call last):\n", None),
        ("", None),
        ("waiting for 1 of the GPUs GPU-a: other jobs hold them\n", None),
    ],
)
def test_the_last_error_of_a_log(tmp_path: Path, log: str, line: str | None) -> None:
    path = tmp_path / "train.log"
    path.write_text(log)
    found = last_error(path)
    assert found is None if line is None else found.startswith(line)


def test_a_log_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_bytes(b"\xff\xfe\x00\n" + USER_ERROR.encode())
    assert last_error(path) == USER_ERROR.strip()


@pytest.mark.parametrize("progress", [None, -1000, 0])
def test_failed(status: Any, layout: Layout, progress: float | None) -> None:
    folder = layout.detector("student")
    if progress is not None:  # even a second before: it is not shown as running meanwhile
        write_progress(folder, at=NOW + progress)
    write(folder.log("train"), LOG_LINE + TRACEBACK)
    found = status()
    assert student(found).state == "failed"
    (failure,) = student(found).failures
    assert failure.log == folder.log("train")
    lines = [line.rstrip() for line in printed(found, width=60).splitlines()]
    assert lines[-2:] == [f"{folder.log('train')}:", "  RuntimeError: CUDA out of memory"]


def test_a_job_that_went_on_after_an_error_has_not_failed(status: Any, layout: Layout) -> None:
    write(layout.detector("student").log("train"), USER_ERROR, at=NOW - 60)
    write_progress(layout.detector("student"), at=NOW - 5)
    assert student(status()).state == "running"
    assert student(status()).failures == ()


@pytest.mark.parametrize("earlier", [False, True])
def test_a_failed_check_is_a_failure(status: Any, layout: Layout, earlier: bool) -> None:
    folder = layout.detector("student")
    write(folder.log("check"), USER_ERROR)
    if earlier:
        write_progress(folder, at=NOW - 1000)
    assert student(status()).state == "failed"
    write(folder.check)
    assert student(status()).state == ("interrupted" if earlier else "waiting")


def test_a_pair_that_cannot_work_fails_its_stages(status: Any, layout: Layout) -> None:
    write(layout.pair("fm", "b").with_suffix(".log"), USER_ERROR)
    first, second = stages_of(status(), "progressive")
    assert (first.state, second.state) == ("waiting", "failed")


@pytest.mark.parametrize("step", ["evaluate", "features"])
def test_a_failure_after_training_is_shown(status: Any, layout: Layout, step: str) -> None:
    folder = layout.detector("student")
    write(folder.weights)
    write(folder.log(step), TRACEBACK)
    found = status()
    assert student(found).state == "done"
    assert [failure.log for failure in student(found).failures] == [folder.log(step)]
    assert str(folder.log(step)) in printed(found)
    write(folder.metrics)
    write(folder.features)
    assert student(status()).failures == ()


@pytest.mark.parametrize("step", ["data", "costs", "order", "results", "report"])
def test_a_failure_of_the_whole_experiment_is_shown(status: Any, layout: Layout, step: str) -> None:
    write(layout.log(step), USER_ERROR)
    found = status()
    assert [failure.log for failure in found.failures] == [layout.log(step)]
    assert USER_ERROR.strip() in printed(found)


def test_a_shared_stage_counts_once(status: Any, layout: Layout) -> None:
    write(layout.stage("fm", "a").log("train"), USER_ERROR)
    found = status(("runs.direct.order", ["a"]))
    assert [run.stages[0].state for run in found.runs] == ["failed", "failed"]
    assert len(found.models()) == 6
    assert printed(found).count(USER_ERROR.strip()) == 1


def test_text_of_a_log_is_no_markup(status: Any, layout: Layout) -> None:
    write(layout.detector("student").log("train"), "error: [bold]key[/bold] [/nothing] is wrong\n")
    assert "error: [bold]key[/bold] [/nothing] is wrong" in printed(status())


# Orders


def write_order(write_experiment: Any, layout: Layout, *changes: tuple[str, Any]) -> None:
    experiment = load_experiment(write_experiment(*changes))
    runs = {
        "progressive": {"chain": "a+b", "teachers": ["a", "b"]},
        "direct": {"chain": "c", "teachers": ["c"]},
    }
    order = {"runs": runs, "config_hash": digest_of(order_settings(experiment))}
    write(layout.order, json.dumps(order))


def test_a_decided_order(status: Any, layout: Layout, write_experiment: Any) -> None:
    write_order(write_experiment, layout)
    write(layout.stage("fm", "c").weights)
    found = status()
    assert [(stage.name, stage.state) for stage in stages_of(found, "direct")] == [("c", "done")]
    assert "not decided" not in printed(found)
    assert "undecided" not in printed(found)


def test_an_order_of_other_settings_decides_nothing(
    status: Any, layout: Layout, write_experiment: Any
) -> None:
    write_order(write_experiment, layout)
    assert stages_of(status(("ordering.max_teachers", 2)), "direct") is None


def test_a_run_whose_length_depends_on_an_undecided_one(status: Any) -> None:
    budget = {"method": "fm", "order": ["c"], "budget": "direct"}
    found = status(("runs.same", budget))
    assert [run.name for run in found.runs if run.stages is None] == ["direct", "same"]


# Wrong files


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"epoch": "three"}', "\x00"])
def test_a_progress_file_that_makes_no_sense_tells_nothing(
    status: Any, layout: Layout, text: str
) -> None:
    write(layout.detector("student").progress, text)
    assert student(status()).state == "waiting"


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_wrong_order_is_one_line(status: Any, layout: Layout, text: str) -> None:
    write(layout.order, text)
    with pytest.raises(UserError, match=r"order\.json"):
        status()


def test_a_file_that_cannot_be_read_is_one_line(status: Any, layout: Layout) -> None:
    layout.detector("student").progress.mkdir(parents=True)
    with pytest.raises(UserError, match=r"progress\.json: cannot be read \(Is a directory\)"):
        status()


# The command


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3569, "59 min"),
        (3571, "1 h 00 min"),
        (11_100, "3 h 05 min"),
        (86_380, "1 d 00 h"),
        (200_000, "2 d 08 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_command_is_quick_changes_nothing_and_imports_nothing_heavy(
    write_experiment: Any, layout: Layout
) -> None:
    write_progress(layout.detector("student"), at=time.time())
    code = (
        "import sys; from mtpd.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'mmengine', 'mmdet', 'numpy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    arguments = ["status", str(write_experiment()), "--results", str(layout.results)]
    before = {path: path.stat().st_mtime_ns for path in layout.results.rglob("*")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "0 of 6 trained; 1 running; 5 waiting; order not decided yet: direct" in done.stdout
    assert "gpu01, process 4711" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in layout.results.rglob("*")} == before


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (120, ["3/12", "230/960", "1.23", "6 min", "gpu01, process 4711"]),
        (80, ["3/12", "230/960", "1.23", "6 min"]),
        (60, ["3/12", "1.23", "6 min"]),
    ],
)
def test_a_narrow_terminal_has_what_matters_most(
    status: Any, layout: Layout, width: int, shown: list[str]
) -> None:
    write_progress(layout.detector("student"), loss=1.234)
    rows = printed(status(), width=width).splitlines()
    (row,) = [row for row in rows if "student" in row]
    assert all(cell in row for cell in shown)
    assert max(map(len, rows[1:])) <= width
    assert ("gpu01" in row, "230/960" in row) == (width == 120, width > 60)
