"""``mtpd init``: from folders to experiments, whole."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from folders import coco, labels, picture, roboflow, voc, xml, yolo
from rich.console import Console
from typer.testing import CliRunner

from mtpd.cli import app
from mtpd.errors import UserError
from mtpd.estimation.speed import Calibration, Speed
from mtpd.experiment.load import load_experiment
from mtpd.intake import pretrained
from mtpd.intake.looking import Seen, look_at
from mtpd.intake.machine import Machine
from mtpd.intake.proposal import Wishes
from mtpd.reporting import questions
from mtpd.steps import init

CPU = Machine(cores=2, memory_gb=16)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, without a GPU and a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(pretrained, "why_unreachable", lambda *_: "no network")
    return tmp_path


def run(*arguments: str, fails: bool = False) -> Result:
    result = CliRunner().invoke(app, ["init", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit | UserError):
        raise result.exception
    assert bool(result.exit_code) == fails, result.output + str(result.exception)
    return result


def content(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def written(name: str) -> dict[str, Any]:
    return yaml.safe_load(Path("config/experiments", f"{name}.yaml").read_text())


def lists(name: str) -> dict[str, list[str]]:
    files = sorted(Path("config/splits", name).glob("*.txt"))
    return {path.stem: path.read_text().splitlines() for path in files}


def seen(folder: Path, **options: Any) -> Seen:
    return look_at(folder, Path("config/splits/x"), **options)


def test_a_flat_folder_becomes_an_experiment(here: Path) -> None:
    voc(here / "My cells", here / "My cells", 40)
    before = content(here / "My cells")
    result = run("My cells", "--yes")
    assert content(here / "My cells") == before
    data = written("my_cells")["data"]
    assert (data["root"], data["split"]) == ("My cells", "config/splits/my_cells")
    assert data["classes"] == ["blue", "red"]
    split = lists("my_cells")
    assert {name: len(images) for name, images in split.items()} == {
        "test": 6,
        "train": 28,
        "val": 6,
    }
    assert sorted(name for part in split.values() for name in part) == [
        f"p{i:03d}.jpg" for i in range(40)
    ]
    loaded = load_experiment(Path("config/experiments/my_cells.yaml"))
    assert set(loaded.runs) == {"progressive", "direct-same-budget", "no-teacher-same-budget"}
    assert "snakemake --cores" in result.output
    # 26 of 40 pictures show both rectangles.
    [boxes] = [line.split() for line in result.output.splitlines() if line.startswith("boxes  ")]
    assert sum(int(number) for number in boxes[1:]) == 40 + 26


def test_nothing_is_replaced_without_force(here: Path) -> None:
    voc(here / "cells", here / "cells", 9)
    run("cells", "--yes")
    before = content(here / "config")
    line = str(run("cells", "--yes", "--seed", "1", fails=True).exception)
    assert line == (
        "config/experiments/cells.yaml: is there already; give another --name, "
        "or --force to replace it"
    )
    assert content(here / "config") == before
    run("cells", "--yes", "--seed", "1", "--force")
    assert written("cells")["seed"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "names no folder"),
        (["a", "--data", "b"], "has FOLDER and --data"),
        (["nowhere", "--yes"], "nowhere: does not exist"),
        (["cells", "--name", "paper"], "'paper' cannot be an experiment's name"),
        (["cells", "--name", "a b"], "'a b' cannot be an experiment's name"),
        (["cells", "--student", "r19"], "--student: there is no detector 'r19'"),
        (["cells", "--group", "("], "--group: is no regular expression"),
    ],
)
def test_wrong_arguments_are_one_line(here: Path, arguments: list[str], words: str) -> None:
    voc(here / "cells", here / "cells", 9)
    assert words in str(run(*arguments, fails=True).exception)
    assert not (here / "config").exists()


def test_every_format_gives_the_same_counts(here: Path) -> None:
    voc(here / "voc", here / "voc", 12)
    yolo(here / "yolo" / "images", here / "yolo" / "labels", 12)
    (here / "yolo" / "classes.txt").write_text("red\nblue\n")
    coco(here / "coco" / "annotations" / "instances_default.json", here / "coco" / "images", 12)
    found = [seen(here / name) for name in ("voc", "yolo", "coco")]
    for one in found:
        assert one.survey.splits["train"].images == 8
        assert sum(part.boxes for part in one.survey.splits.values()) == 12 + 8
        assert one.survey.sizes == found[0].survey.sizes
        assert one.problems == ()
        assert not any("mtpd-" in remark for remark in one.remarks)


def test_an_export_without_val_keeps_its_test(here: Path) -> None:
    roboflow(here / "export", (("train", 20), ("test", 5)))
    run("export", "--yes")
    split = lists("export")
    assert split["test"] == [f"test/p{100 + i}.jpg" for i in range(5)]
    assert len(split["train"]) == 17
    assert len(split["val"]) == 3
    text = Path("config/experiments/export.yaml").read_text()
    assert "# lists of images; drawn here: train, val" in text


def test_names_with_windows_separators_are_drawn(here: Path) -> None:
    coco(here / "export" / "all.json", here / "export" / "images", 9, prefix="images\\")
    run("export", "--yes")
    names = [name for part in lists("export").values() for name in part]
    assert sorted(names) == [f"images/p{i:03d}.jpg" for i in range(9)]


def test_the_working_folder_itself(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voc(here / "cells" / "images", here / "cells" / "labels", 9)
    monkeypatch.chdir(here / "cells")
    run(".", "--yes")
    data = written("cells")["data"]
    assert (data["root"], data["images"], data["annotations"]) == (".", "images", "labels")


def test_images_without_boxes_alone(here: Path) -> None:
    voc(here / "cells", here / "cells", 3)
    for path in (here / "cells").glob("*.xml"):
        path.write_text(xml([]))
    assert str(run("cells", fails=True).exception) == (
        "cells: has no image with a box; annotate at least one object"
    )


def test_first_pixels_are_told_from_all_images(here: Path) -> None:
    """A split that happens to have no box at 0 would be read otherwise."""
    names = voc(here / "cells", here / "cells", 9)
    (here / "cells" / f"{names[3]}.xml").write_text(xml([(0, -1, 5, 20, 18)]))
    run("cells", "--yes")
    assert written("cells")["data"]["first_pixel"] == 0


def test_boxes_that_cannot_be_used_are_counted(here: Path) -> None:
    names = voc(here / "cells", here / "cells", 9)
    (here / "cells" / f"{names[3]}.xml").write_text(xml([(0, 5, 5, 20, 18), (1, 90, 5, 9, 9)]))
    result = run("cells", "--yes")
    assert written("cells")["data"]["bad_boxes"] == "drop"
    assert "remark: boxes without area or beyond their image: 1; not trained on" in result.output


def test_problems_are_listed_and_the_status_says_so(here: Path) -> None:
    roboflow(here / "export", (("train", 4), ("valid", 2)))
    (here / "export" / "train" / "p002.jpg").unlink()
    result = run("export", "--yes", fails=True)
    assert "problem: export/train/_annotations.coco.json: image 3: " in result.output
    assert "all of them: mtpd data check export --show 1" in result.output
    assert (here / "config/experiments/export.yaml").is_file()


def test_labels_that_cannot_be_read_are_listed_and_nothing_is_written(here: Path) -> None:
    yolo(here / "cells", here / "cells", 9)
    (here / "cells" / "classes.txt").write_text("red\n")
    result = run("cells", "--yes", fails=True)
    assert "problem: cells/p001.txt: line 2: has the class '1'; names has the classes 0" in (
        result.output
    )
    assert "problem: and 2 more" in result.output
    assert not (here / "config").exists()


def test_a_group_for_data_that_has_a_split(here: Path) -> None:
    roboflow(here / "export", (("train", 4), ("valid", 2)))
    assert "--group: is for data without a split" in str(
        run("export", "--group", "p", fails=True).exception
    )


def test_names_that_yaml_reads_otherwise(here: Path) -> None:
    for i in range(6):
        boxes = picture(here / "cells" / f"{i}.jpg", 3 * i + 1)
        (here / "cells" / f"{i}.xml").write_text(xml(boxes, ("on", "1e3")))
    run("cells", "--yes", "--name", "2024")
    loaded = load_experiment(Path("config/experiments/2024.yaml"))
    assert loaded.data.classes == ("1e3", "on")
    assert "experiments=2024" in Path("config/experiments/2024.yaml").read_text()


class _Fixed(Speed):
    """A second for every step of training, a tenth for other steps."""

    def __init__(self) -> None:
        super().__init__(Calibration())

    def ask(self, kind: Any, workload: Any) -> Any:
        answer = super().ask(kind, workload)
        seconds = 1.0 if kind == "train_step" else 0.1
        self.answers[kind, workload] = known = type(answer)(seconds, "measured", "here")
        return known


def test_a_budget_is_kept(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voc(here / "cells", here / "cells", 40)
    monkeypatch.setattr(init, "_speed", lambda *_, **__: _Fixed())
    usual = init.plan(seen(here / "cells"), "x", CPU, Wishes())
    half = init.plan(seen(here / "cells"), "x", CPU, Wishes(), budget=usual.hours / 2)
    assert 0.4 * usual.hours < half.hours <= usual.hours / 2
    assert usual.experiment.training.epochs is not None
    assert half.experiment.training.epochs is not None
    assert half.experiment.training.epochs < usual.experiment.training.epochs
    assert "h of this machine allow" in half.text
    little = init.plan(seen(here / "cells"), "x", CPU, Wishes(), budget=0.001)
    assert little.experiment.training.epochs == 1
    assert "even the shortest trainings take" in little.proposal.remarks[-1]


def test_hours_are_those_of_the_jobs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: two teachers, one step an epoch, and one core."""
    voc(here / "cells", here / "cells", 9)
    monkeypatch.setattr(init, "_speed", lambda *_, **__: _Fixed())
    found = seen(here / "cells")
    plan = init.plan(found, "x", Machine(cores=1, memory_gb=8), Wishes())
    splits, training = found.survey.splits, plan.experiment.training
    assert training.epochs is not None
    steps = -(-splits["train"].images // training.batch_size)
    evaluated = 0.1 * (splits["val"].images + splits["test"].images)
    validations = -(-60 // training.validate_every), -(-72 // training.validate_every)
    assert training.epochs == 60

    def trained(epochs: int, step: float) -> float:
        every = training.validate_every
        return epochs * steps * step + -(-epochs // every) * 0.1 * splits["val"].images

    detectors = trained(60, 1.0) + 3 * trained(72, 1.0)
    detectors += 4 * (evaluated + 0.1 * plan.experiment.ordering.images + 3 * 6)
    # The chain of two stages, and two runs that train as long as both.
    stages = 2 * trained(36, 1.1) + trained(72, 1.1) + trained(72, 1.0) + 4 * (evaluated + 2 * 6)
    assert plan.hours == pytest.approx((detectors + stages) / 3600)
    assert validations == (12, 15)


def answered(text: str) -> Callable[[], questions.Answers]:
    def ask() -> questions.Answers:
        proposed = load_experiment(Path("config/experiments/cells.yaml"))
        console = Console(file=io.StringIO())
        return questions.ask("cells", proposed, console, io.StringIO(text))

    return ask


def test_questions_have_the_proposals_as_answers(here: Path) -> None:
    voc(here / "cells", here / "cells", 9)
    run("cells", "--yes")
    answers = answered("\n\n\n\n\n")()
    assert answers == questions.Answers("cells", None, None, None, None)
    assert answers.changes(Wishes(seed=4)) == Wishes(seed=4)


def test_answers_change_the_proposal_and_wrong_ones_are_asked_again(here: Path) -> None:
    voc(here / "cells", here / "cells", 9)
    run("cells", "--yes")
    answers = answered("mine\nr19\nr18_w8\nr18_w12, r18_w16\n160\n160x120\n-1\n0.5\n")()
    assert (answers.name, answers.hours) == ("mine", 0.5)
    wishes = answers.changes(Wishes())
    assert wishes.student is not None
    assert wishes.student.name == "retinanet_r18_w8"
    assert [one.name for one in wishes.teachers] == ["retinanet_r18_w12", "retinanet_r18_w16"]
    assert wishes.size == (160, 120)


def test_a_folder_of_settings_of_ones_own(here: Path) -> None:
    (here / "config").mkdir()
    (here / "config" / "config.yaml").write_text("folder: mine/experiments\n")
    voc(here / "cells", here / "cells", 9)
    run("cells", "--yes")
    data = yaml.safe_load((here / "mine/experiments/cells.yaml").read_text())["data"]
    assert data["split"] == "mine/splits/cells"


def test_labels_of_polygons(here: Path) -> None:
    yolo(here / "cells", here / "cells", 9)
    (here / "cells" / "classes.txt").write_text("red\nblue\n")
    boxes = labels([(0, 8, 8, 16, 16)])
    corners = "1 0.25 0.25 0.75 0.25 0.75 0.75\n"
    (here / "cells" / "p000.txt").write_text(boxes + corners)
    found = seen(here / "cells")
    assert found.survey.splits["train"].boxes_per_class.keys() == {"red", "blue"}
    assert json.dumps(found.data)  # settings alone, nothing of this program's
