"""The picture on a terminal, drawn from records and from files as jobs write them."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
import yaml
from display.records import begun, failed, finished, record, started
from micro import MICRO
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent

from mtpd.display.run import PLAN
from mtpd.display.screen import Screen
from mtpd.display.watch import TimeLeft
from mtpd.estimation.estimate import Estimate, PricedJob
from mtpd.experiment.load import open_experiment
from mtpd.experiment.recipes import Task
from mtpd.overview.status import collect_status

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config" / "experiments").mkdir(parents=True)
    (tmp_path / "config" / "config.yaml").write_text("experiments: [micro]\n")
    text = yaml.safe_dump(MICRO)
    (tmp_path / "config" / "experiments" / "micro.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def screen(width: int = 100, height: int = 30) -> tuple[Screen, io.StringIO]:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=width, height=height, highlight=False)
    return Screen(console), output


def last_picture(display: Screen, output: io.StringIO) -> list[str]:
    """Lines of the picture that is drawn now."""
    output.seek(0)
    output.truncate()
    display.refresh()
    text = CONTROL.sub("", output.getvalue()).replace("\r", "")
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_a_run(project: Path) -> None:
    display, output = screen()
    folder = Path("results/micro/detectors/student")
    plan = [PricedJob(Task("train", ("student",)), folder / "model.pth", 60)]
    told = record(LogEvent.JOB_STARTED, jobs=[1, 2], **{PLAN: [Estimate("micro", tuple(plan))]})
    for one in (*begun(train=1, check=1), told):
        display.handle(one)
    display.handle(started(1, "train", folder, detector="student"))
    display.handle(started(2, "check", Path("results/micro/detectors/a"), detector="a"))
    assert HIDE in output.getvalue()
    lines = last_picture(display, output)
    assert lines[0] == "results/micro: 0 of 6 trained; 1 started; 5 waiting; order not decided " \
        "yet: direct"  # fmt: skip
    assert any(line.split() == ["├─", "student", "started"] for line in lines)
    assert any(line.startswith("running: micro: check a (") for line in lines)
    assert re.search(r"0 of 2 jobs · \d s so far · about 1 min left$", lines[-1])
    folder.mkdir(parents=True)
    progress = {
        "state": "training", "epoch": 2, "epochs": 3, "iteration": 5, "iterations": 9,
        "seconds_per_iteration": 2.0, "host": "h", "pid": 1, "slurm_job": None, "updated": 0,
        "loss": 1.5, "images_per_second": 8.0, "done": [{"epoch": 1, "ap": 0.25}],
    }  # fmt: skip
    (folder / "progress.json").write_text(json.dumps(progress))
    (row,) = [line for line in last_picture(display, output) if "student" in line]
    assert row.split()[1:] == ["student", "running", "2/3", "5/9", "1.5", "25.0", "8", "8", "s"]
    (folder / "train.log").write_text("error: no; do otherwise\n")
    for one in (*finished(2, 1, 2), failed(1)):
        display.handle(one)
    lines = last_picture(display, output)
    assert re.search(r"1 of 2 jobs · \d s so far · 1 failed$", lines[-1])
    display.close()
    text = CONTROL.sub("", output.getvalue())
    assert output.getvalue().rindex(SHOW) > output.getvalue().rfind(HIDE)
    assert "1 job failed: micro: train student" in text
    assert "error: no; do otherwise" in text


def test_what_will_be_made_again_is_not_done(project: Path) -> None:
    display, output = screen()
    folder = Path("results/micro/detectors/a")
    folder.mkdir(parents=True)
    (folder / "model.pth").touch()
    plan = [PricedJob(Task("train", ("a",)), folder / "model.pth", 60)]
    for one in begun(train=1):
        display.handle(one)
    display.handle(started(1, "check", Path("results/micro/detectors/a"), detector="a"))
    assert any(line.split()[:3] == ["├─", "a", "done"] for line in last_picture(display, output))
    told = record(LogEvent.JOB_STARTED, jobs=[1], **{PLAN: [Estimate("micro", tuple(plan))]})
    display.handle(told)
    assert any(line.split()[:3] == ["├─", "a", "waiting"] for line in last_picture(display, output))
    display.close()


@pytest.mark.parametrize(("width", "height"), [(20, 5), (200, 80)])
def test_any_terminal_will_do(project: Path, width: int, height: int) -> None:
    display, output = screen(width, height)
    for one in begun(train=1):
        display.handle(one)
    display.handle(started(1, "train", Path("results/micro/detectors/a"), detector="a"))
    assert 0 < len(last_picture(display, output)) <= height
    display.close()


def test_a_narrow_picture_has_a_line_for_each_model(project: Path) -> None:
    display, output = screen(64, 30)
    for one in begun(train=1):
        display.handle(one)
    folder = Path("results/micro/detectors/a")
    display.handle(started(1, "train", folder, detector="a"))
    folder.mkdir(parents=True)
    progress = {
        "state": "training", "epoch": 12, "epochs": 60, "iteration": 5, "iterations": 9,
        "seconds_per_iteration": 2.0, "host": "h", "pid": 1, "slurm_job": None, "updated": 0,
        "loss": 1.234, "images_per_second": 30.71, "done": [{"epoch": 1, "ap": 0.25}],
    }  # fmt: skip
    (folder / "progress.json").write_text(json.dumps(progress))
    lines = last_picture(display, output)
    (row,) = [line for line in lines if line.startswith("├─ a ")]
    assert row.split()[1:] == ["a", "running", "12/60", "1.23", "25.0", "30.7", "8", "s"]
    heading = next(at for at, line in enumerate(lines) if line.startswith("model "))
    tree = lines[heading + 2 : -1]
    assert all(line.startswith(("├─ ", "└─ ", "   └─ ", "fm")) for line in tree), tree
    assert max(map(len, lines)) <= 64
    display.close()


def test_time_left_elsewhere(project: Path) -> None:
    """Told from files: what is there is done, and a training says itself how long it takes."""
    opened = open_experiment("micro")
    weights = [Path(f"results/micro/detectors/{name}/model.pth") for name in ("student", "a", "b")]
    for path in weights:
        path.parent.mkdir(parents=True)
    jobs = tuple(
        PricedJob(Task("train", (path.parent.name,)), path.absolute(), 100) for path in weights
    )
    left = TimeLeft(lambda: [Estimate("micro", jobs)])
    left._undecided = frozenset({"direct"})
    left._renew()
    assert left.of(collect_status(*opened)) == "about 5 min left"
    weights[0].touch()
    assert left.of(collect_status(*opened)) == "about 3 min left"
