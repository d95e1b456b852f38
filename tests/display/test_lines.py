"""Plain lines, from records and from files as jobs write them."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from display.records import begun, failed, finished, record, started
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent

from mtpd.display.display import Display
from mtpd.display.lines import Lines
from mtpd.display.run import PLAN
from mtpd.estimation.estimate import Estimate, PricedJob
from mtpd.experiment.recipes import Task

EPOCHS = [
    {"epoch": 1, "loss": 1.5, "ap": 0.021, "images_per_second": 40.0},
    {"epoch": 2, "loss": 1.25, "ap": -1.0, "images_per_second": 41.26},
    {"epoch": 3, "loss": 1.0, "ap": 0.105, "images_per_second": 42.0},
]


class Shown:
    """Lines, and what they have shown."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.output = io.StringIO()
        self.display: Display = Lines(
            Console(file=self.output, width=120, highlight=False), quiet=quiet
        )

    def tell(self, *records: logging.LogRecord) -> None:
        for one in records:
            self.display.handle(one)

    def look(self) -> None:
        """As the watching thread does once a second."""
        self.display._tell_epochs()

    @property
    def lines(self) -> list[str]:
        """What was shown since it was asked for last, without the time of day."""
        text = self.output.getvalue()
        self.output.seek(0)
        self.output.truncate()
        assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in text.splitlines()), text
        return [line[9:] for line in text.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "results" / "micro" / "detectors" / "a"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def shown() -> Any:
    made = Shown()
    yield made
    made.display.close()


def write_progress(folder: Path, epochs: int, **changes: Any) -> None:
    told = {
        "state": "training",
        "epoch": epochs + 1,
        "epochs": 3,
        "iteration": 10 * epochs + 4,
        "iterations": 30,
        "seconds_per_iteration": 2.0,
        "host": "gpu01",
        "pid": 1,
        "slurm_job": None,
        "updated": 0,
        "done": EPOCHS[:epochs],
        **changes,
    }
    (folder / "progress.json").write_text(json.dumps(told))


def write_history(folder: Path, epochs: int) -> None:
    written = [
        {
            "iterations": 10,
            "train_seconds": 40 / one["images_per_second"],
            "train": {"loss": one["loss"]},
            "val": {"bbox_mAP": one["ap"]},
        }
        for one in EPOCHS[:epochs]
    ]
    (folder / "history.json").write_text(json.dumps({"images_per_step": 4, "epochs": written}))
    (folder / "progress.json").unlink(missing_ok=True)


def test_a_training_from_start_to_end(shown: Shown, folder: Path) -> None:
    shown.tell(*begun(data=1, train=2), started(1, "train", folder, detector="a"))
    assert shown.lines == ["3 jobs to run: 1 data, 2 train", "started: micro: train a"]
    write_progress(folder, 0)
    shown.look()
    assert shown.lines == []
    write_progress(folder, 2)
    shown.look()
    shown.look()
    assert shown.lines == [
        "micro: train a: epoch 1/3, loss 1.5, AP 2.1, 40 images/s",
        "micro: train a: epoch 2/3, loss 1.25, 41.3 images/s, 12 s left",
    ]
    write_history(folder, 3)
    shown.tell(*finished(1, 2, 3))
    assert shown.lines == [
        "micro: train a: epoch 3, loss 1, AP 10.5, 42 images/s",
        "2 of 3 done: micro: train a, in 0 s",
    ]


def test_the_number_of_a_job_on_slurm(shown: Shown, folder: Path) -> None:
    text = "Job 1 has been submitted with SLURM jobid 4711 (log: slurm_logs/4711.log)."
    shown.tell(*begun(train=1), started(1, "train", folder, detector="a"), record(text=text))
    assert shown.lines[2:] == ["submitted: micro: train a, as Slurm job 4711"]


def test_what_an_earlier_run_has_shown_is_not_shown_again(shown: Shown, folder: Path) -> None:
    write_progress(folder, 2, state="saved")
    shown.tell(*begun(train=1), started(1, "train", folder, detector="a"))
    shown.look()
    assert shown.lines[2:] == []
    write_history(folder, 3)
    shown.tell(*finished(1, 1, 1))
    assert shown.lines[0].startswith("micro: train a: epoch 3, ")


def test_a_training_that_begins_anew_tells_its_epochs(shown: Shown, folder: Path) -> None:
    write_progress(folder, 2)  # of other settings
    shown.tell(*begun(train=1), started(1, "train", folder, detector="a"))
    write_progress(folder, 0)
    shown.look()
    write_progress(folder, 1)
    shown.look()
    assert [line[:22] for line in shown.lines[2:]] == ["micro: train a: epoch "]


def test_what_the_store_has_was_not_trained_now(shown: Shown, folder: Path) -> None:
    shown.tell(*begun(train=1), started(1, "train", folder, detector="a"))
    write_history(folder, 3)
    (folder / "train.log").write_text("INFO train a: taken from the store (a of b made it at …)\n")
    shown.tell(*finished(1, 1, 1))
    assert shown.lines[2:] == ["1 of 1 done: micro: train a, taken from the store"]


def test_time_left_follows_the_plan_and_the_pace(shown: Shown, folder: Path) -> None:
    a = PricedJob(Task("train", ("a",)), None, 100)
    b = PricedJob(Task("train", ("b",)), None, 100, after=(a,))
    estimate = Estimate("micro", (a, b), ("run",))
    shown.tell(*begun(train=2), record(LogEvent.JOB_STARTED, jobs=[1], **{PLAN: [estimate]}))
    shown.tell(started(1, "train", folder, detector="a"))
    write_progress(folder, 1)  # 16 iterations of 2 seconds each are left
    assert round(shown.display.run.seconds_left() or 0) == 132
    shown.tell(*finished(1, 1, 2))
    # The first took no time at all, and so will the second.
    assert shown.display.run.seconds_left() == pytest.approx(0, abs=0.1)
    assert shown.display.run.is_bound


ERROR = "error: epoch 1: training has diverged; lower training.optimizer.lr"
AGAIN = "what is finished is kept, and the same command goes on from here"


def test_a_failure_is_its_line_its_log_and_what_to_do(shown: Shown, folder: Path) -> None:
    shown.tell(*begun(train=1, all=1), started(1, "train", folder, detector="a"))
    write_progress(folder, 1)
    log = folder / "train.log"
    log.write_text(f"many words\n{ERROR}\n")
    repeated = "RuleException:\nCommand '…' returned non-zero exit status 1."
    shown.tell(record(LogEvent.ERROR, repeated, logging.ERROR, exception="RuleException"))
    shown.tell(failed(1, str(log), "slurm.log", external_jobid="77"))
    shown.tell(record(text="Exiting because a job execution failed.", level=logging.ERROR))
    shown.tell(record(text="Complete log(s): /here/.snakemake/log/1.snakemake.log"))
    shown.display.close()
    assert shown.lines[2:] == [
        "micro: train a: epoch 1/3, loss 1.5, AP 2.1, 40 images/s, 32 s left",
        "failed: micro: train a (after 0 s)",
        f"  {ERROR}",
        f"  log: {log}",
        "  external_jobid: 77",
        "  log of the scheduler: slurm.log",
        f"  then: mend that; {AGAIN}",
        "1 job failed: micro: train a",
        f"stopped after 0 s: 0 of 2 jobs done, 1 not started; {AGAIN}",
        "Snakemake's own log (1 warning): /here/.snakemake/log/1.snakemake.log",
    ]


@pytest.mark.parametrize(
    ("log", "first", "second"),
    [
        ("a\nKilled\n", "failed", "  its log ends with: Killed"),
        ("interrupted: SIGTERM received\n", "interrupted", "interrupted: SIGTERM received"),
        (None, "failed", "  log: "),
    ],
)
def test_logs_without_an_error(
    shown: Shown, folder: Path, log: str | None, first: str, second: str
) -> None:
    shown.tell(*begun(train=1), started(1, "train", folder, detector="a"))
    if log is not None:
        (folder / "train.log").write_text(log)
    shown.tell(failed(1))
    lines = shown.lines[2:]
    assert lines[0] == f"{first}: micro: train a (after 0 s)"
    assert second in lines[1]


def test_a_job_that_is_tried_again_has_not_failed(shown: Shown, folder: Path) -> None:
    shown.tell(*begun(train=1), started(1, "train", folder, detector="a"), failed(1))
    shown.tell(record(text="Trying to restart job 1."))
    shown.tell(started(1, "train", folder, detector="a"), *finished(1, 1, 1))
    shown.display.close()
    assert shown.lines[-1] == "all 1 job done in 0 s"


def test_what_snakemake_repeats_is_said_once(shown: Shown) -> None:
    words = "Will exit after finishing currently running jobs (scheduler)."
    shown.tell(*begun(train=1), *(record(text=words) for _ in range(9)))
    assert shown.lines == ["1 job to run: 1 train", words]


def test_errors_of_snakemake_itself_are_shown(shown: Shown) -> None:
    shown.tell(record(LogEvent.ERROR, "Error: Directory cannot be locked.", logging.ERROR))
    assert shown.lines == ["Error: Directory cannot be locked."]


@pytest.mark.parametrize("text", ["Unlocked working directory.", "Report created: report.html."])
def test_calls_that_run_no_jobs_say_what_they_do(shown: Shown, text: str) -> None:
    shown.tell(record(text="Building DAG of jobs..."), record(text=text))
    shown.display.close()
    assert shown.lines == [text]


def test_quiet_shows_failures_alone(folder: Path) -> None:
    shown = Shown(quiet=True)
    shown.tell(*begun(train=1), started(1, "train", folder, detector="a"))
    write_progress(folder, 1)
    shown.look()
    assert shown.lines == []
    shown.tell(failed(1))
    shown.display.close()
    assert shown.lines[0] == "failed: micro: train a (after 0 s)"
    assert len(shown.lines) <= 4


@pytest.mark.parametrize(
    "wrong", [{"event": LogEvent.JOB_FINISHED, "job_id": 9}, {"event": LogEvent.SHELLCMD}]
)
def test_records_of_unknown_jobs_are_passed_over(shown: Shown, wrong: dict[str, Any]) -> None:
    shown.tell(*begun(train=1), record(**wrong))
    assert len(shown.lines) == 1


def test_the_plugin_is_what_snakemake_asks_for() -> None:
    from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry
    from snakemake_interface_logger_plugins.tests import MockOutputSettings

    plugin: Any = LoggerPluginRegistry().get_plugin("mtpd")
    make: Callable[..., Any] = plugin.log_handler
    settings = MockOutputSettings()
    settings.printshellcmds = False
    handler = make(settings, None)
    assert isinstance(handler.display, Lines)
    assert (handler.writes_to_stream, handler.writes_to_file) == (True, False)
    handler.handle(record(text="words"))
    handler.close()


def test_dry_runs_and_details_have_snakemakes_own_output() -> None:
    from snakemake.logging import ColorizingTextHandler
    from snakemake_interface_logger_plugins.tests import MockOutputSettings

    from mtpd.display.handler import display_for

    for name in ("dryrun", "verbose", "debug_dag", "printshellcmds"):
        settings = MockOutputSettings()
        settings.printshellcmds = False
        setattr(settings, name, True)
        assert isinstance(display_for(settings), ColorizingTextHandler), name
