"""What runs again is told by content: never by a path, a time or what Snakemake remembers."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from micro import SMALL
from PIL import Image
from running import DECIDED, Project

from mtpd.digests import Digests
from mtpd.experiment.changes import Changes
from mtpd.experiment.load import load_experiment
from mtpd.experiment.recipes import Recipes, Task
from mtpd.files import sha256_of
from mtpd.layout import Layout
from mtpd.settings.runtime import Zoo
from mtpd.store import Store

pytestmark = pytest.mark.xdist_group("workflow")

EARLIER = Path(__file__).parent / "earlier" / "results.tar.gz"
"""Results of the micro experiment from before there were records: JSON files, and what Snakemake
remembers of the jobs' parameters. Weights, images and figures are left out."""

EVALUATIONS = [
    "evaluate_detector a", "evaluate_detector b", "evaluate_detector c",
    "evaluate_detector student", "evaluate_stage fm a+b", "evaluate_stage fm c",
]  # fmt: skip
AFTER_B = [
    "evaluate_detector b", "evaluate_stage fm a+b", "report", "results", "stage fm a+b", "train b",
]  # fmt: skip
TRAININGS = [
    "stage fm a", "stage fm a+b", "stage fm c", "train a", "train b", "train c", "train student",
]  # fmt: skip


def changes_of(project: Project, *changes: tuple[str, Any]) -> list[str]:
    """Jobs whose results no longer follow from the experiment with ``changes``."""
    project.write(*project.settings, *changes)
    try:
        experiment = load_experiment(project.folder / "experiments" / f"{project.name}.yaml")
    finally:
        project.write(*project.settings)
    layout, digests = Layout(project.folder / "results", project.name), Digests()
    recipes = Recipes(experiment, layout, Zoo(), digests)
    found = Changes(recipes, Store(project.folder / ".mtpd-store"), digests)
    return sorted(str(task) for task in tasks_of(project) if found.of(task))


def tasks_of(project: Project) -> list[Task]:
    """Jobs that have left a record."""
    made = project.results / "made"
    parts = (
        str(path.relative_to(made))[: -len(".json")].split("/") for path in made.rglob("*.json")
    )
    return [Task(rule, () if names == ["all"] else tuple(names)) for rule, *names in parts]


@pytest.fixture
def here(finished: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The finished project, whose folder is the working folder."""
    monkeypatch.chdir(finished.folder)
    return finished


@pytest.fixture
def copied(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project that may be changed, with none of its times."""
    shutil.copytree(finished.folder, tmp_path / "copy", copy_function=shutil.copyfile)
    return Project(tmp_path / "copy", settings=finished.settings)


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("training.amp", False)],
        [("training.optimizer", {"lr": 0.001, "type": "AdamW"})],
        [("training.clip_grad_norm", None), ("pipeline.flip", 0.5), ("data.seed", 0)],
        [("teachers.b.training", {"epochs": 1, "batch_size": 4})],
        [("methods.fm.start", "baseline"), ("ordering.ridge", 0.01)],
        [("methods.fm.losses", [{"type": "feature_matching", "weight": None}])],
        [("teachers.a.options", {"model.neck.out_channels": 32})],  # as the config says
        [("student.config", os.path.relpath(SMALL, "/"))],
        [("description", "other words"), ("pipeline.workers", 3), ("saving.minutes", 1)],
        [("resources", {"train": {"mem_mb": 5000, "threads": 2, "runtime": 9, "gpus": 1}})],
        [("ordering.points", 9)],  # no run's order depends on features
    ],
)
def test_what_makes_no_difference_changes_nothing(
    here: Project, changes: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if ("student.config", os.path.relpath(SMALL, "/")) in changes:
        monkeypatch.chdir("/")
    assert changes_of(here, *changes) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("seed", 1)], ["check a", "check b", "check c", "check student", *TRAININGS]),
        ([("pipeline.flip", 0.4)], TRAININGS),
        ([("pipeline.size", [32, 32])], [*TRAININGS, *EVALUATIONS]),
        ([("teachers.b.training", {"epochs": 2})], AFTER_B),
        ([("teachers.b.training", {"amp": True})], AFTER_B),
        ([("teachers.b.latency_ms", 5)], ["evaluate_detector b", "report", "results"]),
        ([("methods.fm.training", {"batch_size": 2})], ["stage fm a", "stage fm c"]),
        ([("runs.direct.order", ["b"])], ["report", "results"]),
    ],
)
def test_a_setting_changes_what_follows_from_it(
    here: Project, changes: list[tuple[str, Any]], expected: list[str]
) -> None:
    found = changes_of(here, *changes)
    assert set(expected) <= set(found)
    trained = {job for job in found if job.startswith(("train", "stage"))}
    assert trained <= {*expected, "stage fm a+b"}


def test_a_config_counts_by_what_mmengine_makes_of_it(here: Project, tmp_path: Path) -> None:
    renamed = tmp_path / "renamed.py"
    renamed.write_text(f"# words\n{Path(SMALL).read_text()}\n")
    assert changes_of(here, ("teachers.b.config", str(renamed))) == []
    base = tmp_path / "base.py"
    base.write_text(f"_base_ = '{renamed}'\nmodel = dict(neck=dict(num_outs=4))\n")
    assert changes_of(here, ("teachers.b.config", str(base))) == []
    base.write_text(f"_base_ = '{renamed}'\nmodel = dict(neck=dict(start_level=0))\n")
    found = changes_of(here, ("teachers.b.config", str(base)))
    assert set(AFTER_B) <= set(found)
    assert not {"train a", "train student", "stage fm c"} & set(found)


def test_times_and_places_plan_nothing(copied: Project, tmp_path: Path) -> None:
    """Copied file by file, without Snakemake's memory, and moved afterwards."""
    shutil.rmtree(copied.folder / ".snakemake")
    files = sorted(path for path in copied.results.rglob("*") if path.is_file())
    for age, file in enumerate(files):
        os.utime(file, (1_000_000_000 + 60 * age,) * 2)
    moved = Project(copied.folder.rename(tmp_path / "moved"), settings=copied.settings)
    moved.write(*moved.settings)
    assert moved.planned() == []


def test_a_copy_reads_its_own_data(copied: Project) -> None:
    """One image less in the copy's own annotations is seen; nothing leads back to the original."""
    text = (copied.results / "data" / "dataset.json").read_text()
    assert str(copied.folder) not in text
    found = list((copied.results / "data").rglob("*.json"))
    assert all("finished" not in file.read_text() for file in found)
    records = list((copied.results / "made").rglob("*.json"))
    assert records
    assert all("finished" not in file.read_text() for file in records)


def test_results_of_an_earlier_version_are_kept(tmp_path: Path) -> None:
    """All but the description of the data, which named folders of its machine."""
    with tarfile.open(EARLIER) as archive:
        archive.extractall(tmp_path, filter="data")
    runs = {**DECIDED, "chosen": {"method": "fm", "order": "bgs"}}
    project = Project(tmp_path, settings=(("runs", runs),))
    project.write(*project.settings)
    done = project.snakemake("--dry-run")
    assert "29 results were made by an earlier version" in done.stderr
    assert project.planned() == ["data"]
    # What they are taken to be made from is recorded when jobs run, and changes are seen from then.
    project.run("--until", "data")
    assert project.planned() == ["all", "report"]  # there was no report
    project.write(*project.settings, ("methods.fm.training", {"epochs": 2}))
    trained = [job for job in project.planned() if job.startswith(("stage", "train"))]
    assert trained == ["stage fm a", "stage fm a+b", "stage fm c"]


def test_results_deleted_by_hand_come_from_the_store(copied: Project) -> None:
    before = weights_of(copied)
    shutil.rmtree(copied.results)
    copied.run()
    assert weights_of(copied) == before
    for log in [*copied.results.rglob("train.log"), *copied.results.rglob("evaluate.log")]:
        assert "taken from the store" in log.read_text(), log
    assert copied.planned() == []


def test_a_stage_is_kept_whose_changed_beginning_is_kept_too(copied: Project) -> None:
    experiment = load_experiment(copied.folder / "experiments" / "micro.yaml")
    record = copied.results / "made" / "stage" / "fm" / "a.json"
    record.write_text(record.read_text().replace('"epochs": 1', '"epochs": 2'))
    layout, digests = Layout(copied.folder / "results", "micro"), Digests()
    found = Changes(
        Recipes(experiment, layout, Zoo(), digests), Store(copied.folder / ".mtpd-store"), digests
    )
    begun, whole = (Task("stage", ("fm", chain)) for chain in ("a", "a+b"))
    assert found.of(begun)
    assert found.of(whole) == ("student: changed",)
    assert found.is_kept(begun)
    assert found.is_kept(whole)
    assert not found.is_kept(Task("results"))
    nowhere = Changes(found.recipes, Store(copied.folder / "nowhere"), digests)
    assert not nowhere.is_kept(begun)


def weights_of(project: Project) -> dict[str, str]:
    found = project.results.rglob("*.pth")
    return {str(path.relative_to(project.results)): sha256_of(path) for path in found}


@pytest.fixture(scope="module")
def coco(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same images as a COCO data set, with a teacher whose weights are given."""
    folder = tmp_path_factory.mktemp("coco")
    disk = folder / "disk"
    for split in ("train", "val", "test"):
        shutil.copytree(finished.results / "data" / split, disk / split)
    # A comment of two megabytes: beyond what Snakemake would compare by content.
    pad(disk / "test" / "annotations.json")
    shutil.copy(finished.results / "detectors" / "c" / "model.pth", folder / "c.pth")
    splits = {
        split: {"annotations": f"{split}/annotations.json", "images": f"{split}/images"}
        for split in ("train", "val", "test")
    }
    project = Project(
        folder,
        settings=(
            ("runs", DECIDED),
            ("data", {"source": "coco", "root": "disk", **splits}),
            ("teachers.c", {"config": SMALL, "weights": "c.pth"}),
        ),
    )
    project.write(*project.settings)
    project.run()
    return project


def pad(path: Path) -> None:
    """Make an annotation file larger than two megabytes."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "info": {"description": "x" * 2**21}}))


@pytest.fixture
def own_coco(coco: Project, tmp_path: Path) -> Project:
    """A copy that may be changed."""
    shutil.copytree(coco.folder, tmp_path / "coco")
    return Project(tmp_path / "coco", settings=coco.settings)


def move_box(path: Path) -> None:
    """Move one box by one pixel."""
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][0] += 1
    path.write_text(json.dumps(content))


def test_touched_annotations_plan_nothing(own_coco: Project) -> None:
    for file in (own_coco.folder / "disk").rglob("*"):
        os.utime(file)
    assert own_coco.planned() == []


def test_moved_data_plans_nothing(own_coco: Project) -> None:
    (own_coco.folder / "disk").rename(own_coco.folder / "disk2")
    own_coco.write(*own_coco.settings, ("data.root", str(own_coco.folder / "disk2")))
    assert own_coco.planned() == []


@pytest.mark.parametrize(("split", "trains"), [("train", True), ("val", True), ("test", False)])
def test_one_changed_box(own_coco: Project, split: str, trains: bool) -> None:
    move_box(own_coco.folder / "disk" / split / "annotations.json")
    planned = own_coco.planned()
    assert "data" in planned
    trained = {job for job in planned if job.startswith(("train", "stage"))}
    # Weights that are given do not depend on it.
    assert trained == (set(TRAININGS) - {"train c"} if trains else set())
    evaluated = [job for job in planned if job.startswith("evaluate")]
    assert evaluated == (
        [job for job in EVALUATIONS if job != "evaluate_detector c"]
        if split == "train"
        else EVALUATIONS
    )


def test_given_weights_count_by_their_bytes(own_coco: Project) -> None:
    given = own_coco.folder / "c.pth"
    renamed = given.rename(given.with_name("another name.pth"))
    own_coco.write(
        *own_coco.settings,
        ("teachers.c.weights", str(renamed)),
        ("teachers.c.sha256", sha256_of(renamed)),
        ("teachers.c.trusted", True),
    )
    assert own_coco.planned() == []
    state = torch.load(renamed, weights_only=True)
    state["state_dict"]["bbox_head.retina_reg.bias"][0] += 1
    torch.save(state, renamed)
    own_coco.write(*own_coco.settings, ("teachers.c.weights", str(renamed)))
    assert [job for job in own_coco.planned() if job.startswith(("train", "stage"))] == [
        "stage fm c",
        "train c",
    ]


def test_a_setting_changed_and_changed_back_trains_nothing(own_coco: Project) -> None:
    before = weights_of(own_coco)
    own_coco.write(
        *own_coco.settings,
        ("methods.fm.losses", [{"type": "feature_matching", "weight": 0.3}]),
    )
    own_coco.run("results/micro/stages/fm/a+b/student.pth")
    assert weights_of(own_coco) != before
    own_coco.write(*own_coco.settings)
    assert "stage fm a+b" in own_coco.planned()
    own_coco.run()
    assert weights_of(own_coco) == before
    log = (own_coco.results / "stages" / "fm" / "a+b" / "train.log").read_text()
    assert "taken from the store" in log


def test_what_another_experiment_has_trained_is_taken(own_coco: Project) -> None:
    other = Project(own_coco.folder, name="other", settings=own_coco.settings)
    other.write(*other.settings, ("student.name", "small"), ("teachers.a", ...), ("runs", {}))
    other.run("results/other/detectors/b/metrics.json", "results/other/detectors/small/model.pth")
    for log in ("b/train.log", "b/evaluate.log", "small/train.log"):
        assert "taken from the store" in (other.results / "detectors" / log).read_text(), log


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A Pascal VOC data set of two classes, with a student and a teacher trained on it."""
    folder = tmp_path_factory.mktemp("voc")
    write_voc(folder / "voc")
    project = Project(
        folder,
        settings=(
            ("data", {"source": "voc", "root": "voc", "test": None}),
            ("teachers", {"a": {"config": SMALL}}),
            ("runs", {"only": {"method": "fm", "order": ["a"]}}),
            ("training.batch_size", 2),
        ),
    )
    project.write(*project.settings)
    project.run()
    return project


def write_voc(root: Path) -> None:
    """Four images with one box each; two for training, two for validation."""
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    for number in range(4):
        Image.new("RGB", (64, 64), (60 * number, 90, 120)).save(
            root / "JPEGImages" / f"{number}.jpg"
        )
        write_xml(root, number, 10)
    (root / "ImageSets" / "Main" / "train.txt").write_text("0\n1\n")
    (root / "ImageSets" / "Main" / "val.txt").write_text("2\n3\n")


def write_xml(root: Path, number: int, left: int) -> None:
    (root / "Annotations" / f"{number}.xml").write_text(
        f"<annotation><size><width>64</width><height>64</height></size><object>"
        f"<name>thing{number % 2}</name><bndbox><xmin>{left}</xmin><ymin>9</ymin><xmax>50</xmax>"
        f"<ymax>50</ymax></bndbox></object></annotation>"
    )


def test_a_corrected_voc_annotation_is_noticed(voc: Project) -> None:
    root = voc.folder / "voc"
    assert voc.planned() == []
    try:
        write_xml(root, 2, 12)  # of a validation image
        planned = voc.planned()
        assert {"data", "train a", "train student", "stage fm a", "results"} <= set(planned)
    finally:
        write_xml(root, 2, 10)
    os.utime(root / "Annotations" / "2.xml")
    (root / "Annotations" / "not listed.xml").write_text("<annotation/>")
    assert voc.planned() == []


def test_changed_settings_are_told_in_words(here: Project) -> None:
    here.write(*here.settings, ("teachers.b.training", {"epochs": 2}))
    try:
        done = here.snakemake("--dry-run")
    finally:
        here.write(*here.settings)
    assert "changed: micro: train b: epochs: 1 → 2" in done.stderr
    assert "changed: micro: stage fm a+b: teacher" in done.stderr
