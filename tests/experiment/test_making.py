"""Results are made, recorded and kept; and what must not pass for a result does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from filelock import FileLock
from micro import SMALL

from mtpd.data.shapes import generate_shapes
from mtpd.digests import Digests
from mtpd.errors import DivergedError, UserError
from mtpd.experiment.changes import Changes
from mtpd.experiment.load import load_experiment
from mtpd.experiment.making import identity_of, make
from mtpd.experiment.recipes import Recipes, Task
from mtpd.files import write_json
from mtpd.layout import Layout
from mtpd.settings.losses import PearsonCorrelation
from mtpd.settings.runtime import Zoo
from mtpd.steps.data import has_same_images, prepare_data
from mtpd.store import Store

DATA, STUDENT, A = Task("data"), Task("train", ("student",)), Task("train", ("a",))
STAGE = Task("stage", ("fm", "a"))


class Project:
    """An experiment on a COCO data set whose trainings only write files."""

    def __init__(self, folder: Path, write: Callable[..., Path]) -> None:
        self.folder, self._write = folder, write
        self.coco = folder / "coco"
        for split in ("train", "val"):
            generate_shapes(self.coco / split, split=split, images=4, size=64, seed=0)
        self.store = Store(folder / "store")
        self.trained: list[str] = []

    def recipes(self, *changes: tuple[str, Any], results: str = "results") -> Recipes:
        splits = {
            split: {"annotations": f"{split}/annotations.json", "images": f"{split}/images"}
            for split in ("train", "val")
        }
        data = {"source": "coco", "root": str(self.coco), **splits}
        path = self._write(("data", data), *changes)
        layout = Layout(self.folder / results, path.stem)
        return Recipes(load_experiment(path), layout, Zoo(cache=self.folder / "cache"), Digests())

    def data(self, recipes: Recipes) -> None:
        experiment, layout = recipes.experiment, recipes.layout
        make(
            recipes,
            self.store,
            DATA,
            lambda: prepare_data(experiment, layout),
            lambda: has_same_images(experiment, layout),
        )

    def train(self, recipes: Recipes, task: Task) -> None:
        """What the task would learn is the text of its identity."""
        recipe, identity = recipes.of(task), identity_of(recipes, task)

        def work() -> None:
            self.trained.append(str(task))
            recipe.folder.mkdir(parents=True, exist_ok=True)
            (recipe.folder / recipe.files[0]).write_text(identity)
            write_json(recipe.folder / "history.json", {"identity": identity, "epochs": []})

        make(recipes, self.store, task, work)

    def everything(self, recipes: Recipes) -> None:
        self.data(recipes)
        for task in (STUDENT, A, STAGE):
            self.train(recipes, task)

    def changed(self, recipes: Recipes, *tasks: Task) -> list[str]:
        found = Changes(recipes, self.store, Digests())
        return [str(task) for task in tasks or (DATA, STUDENT, A, STAGE) if found.of(task)]


@pytest.fixture
def project(tmp_path: Path, write_experiment: Callable[..., Path]) -> Project:
    return Project(tmp_path, write_experiment)


def test_what_was_made_is_up_to_date_and_taken_elsewhere(project: Project) -> None:
    recipes = project.recipes()
    project.everything(recipes)
    assert project.changed(recipes) == []
    other = project.recipes(results="elsewhere")
    project.everything(other)
    # The teacher is the student's equal under another name.
    assert project.trained == ["train student", "stage fm a"]
    assert project.changed(other) == []
    # States of an interrupted training are found by this too.
    assert identity_of(recipes, STAGE) == identity_of(other, STAGE)


def test_a_loss_that_has_come_to_mean_another_is_another(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pkd = ("methods.fm.losses", [{"type": "pkd"}])
    project.everything(project.recipes(pkd))
    assert project.changed(project.recipes(pkd)) == []
    monkeypatch.setattr(PearsonCorrelation, "revision", PearsonCorrelation.revision + 1)
    assert project.changed(project.recipes(pkd)) == ["stage fm a"]


def test_other_images_of_the_same_names_are_other_data(project: Project) -> None:
    project.everything(project.recipes())
    foggy = project.coco / "foggy"
    foggy.mkdir()
    for image in (project.coco / "val" / "images").iterdir():
        (foggy / image.name).write_bytes(image.read_bytes() + b"\0")
    recipes = project.recipes(("data.val.images", "foggy"))
    assert project.changed(recipes) == ["data", "train student", "train a", "stage fm a"]
    project.everything(recipes)
    assert project.trained == ["train student", "stage fm a"] * 2
    # The same folder under another name is the same.
    foggy.rename(project.coco / "renamed")
    assert project.changed(project.recipes(("data.val.images", "renamed"))) == []


def test_data_that_is_away_changes_nothing(project: Project) -> None:
    recipes = project.recipes()
    project.everything(recipes)
    project.coco.rename(project.folder / "away")
    assert project.changed(project.recipes()) == []


def test_annotations_that_changed_since_they_were_prepared_are_refused(project: Project) -> None:
    recipes = project.recipes()
    project.data(recipes)
    path = project.coco / "train" / "annotations.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "info": {}}))
    with pytest.raises(UserError, match="has changed since the data was prepared"):
        project.train(project.recipes(), STUDENT)
    assert project.trained == []


def test_results_whose_inputs_changed_meanwhile_are_not_kept(project: Project) -> None:
    recipes = project.recipes()
    project.data(recipes)
    project.train(recipes, STUDENT)
    project.train(recipes, A)
    teacher = recipes.layout.detector("a").weights
    recipe = recipes.of(STAGE)

    def work() -> None:
        recipe.folder.mkdir(parents=True, exist_ok=True)
        (recipe.folder / "student.pth").write_text("taught by another")
        teacher.write_text("another")

    with pytest.raises(UserError, match="changed while the job was running"):
        make(recipes, project.store, STAGE, work)
    assert [entry for entry in project.store.entries() if entry.target == "fm a"] == []
    assert project.changed(project.recipes(), STAGE) == ["stage fm a"]


def test_results_that_were_left_half_made_are_no_results(project: Project) -> None:
    """They are not taken for those of an earlier version, which have no record either."""
    recipes = project.recipes()
    project.data(recipes)
    folder = recipes.layout.detector("student").path

    def killed() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.pth").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(recipes, project.store, STUDENT, killed)
    assert project.changed(recipes, STUDENT) == ["train student"]


@pytest.mark.parametrize("text", ["{", "[]", '{"identity": 1}'])
def test_a_damaged_record_vouches_for_nothing(project: Project, text: str) -> None:
    recipes = project.recipes()
    project.data(recipes)
    project.train(recipes, STUDENT)
    recipes.layout.record(*STUDENT).write_text(text)
    assert project.changed(recipes, STUDENT) == ["train student"]


def test_another_address_is_another_teacher_before_it_is_fetched(project: Project) -> None:
    first, second = (f"http://host.example/{name}-0123abcd.pth" for name in ("one", "two"))
    cache = project.folder / "cache"
    cache.mkdir()
    recipes = project.recipes(("teachers.a.weights", first))
    (cache / "one-0123abcd.pth").write_text("weights")
    project.data(recipes)
    project.train(recipes, A)
    assert project.changed(recipes, A) == []
    (cache / "one-0123abcd.pth").unlink()
    # Neither the file nor a note of it is there; its name has the beginning of another hash.
    assert project.changed(project.recipes(("teachers.a.weights", first)), A) == ["train a"]
    assert project.changed(project.recipes(("teachers.a.weights", second)), A) == ["train a"]
    digest = Digests().of(Path(SMALL))
    published = f"http://host.example/own-{str(digest)[:8]}.pth"
    (cache / f"own-{str(digest)[:8]}.pth").write_bytes(Path(SMALL).read_bytes())
    project.train(project.recipes(("teachers.a.weights", published)), A)
    (cache / f"own-{str(digest)[:8]}.pth").unlink()
    assert project.changed(project.recipes(("teachers.a.weights", published)), A) == []


def test_a_teacher_that_an_order_named_may_go(project: Project) -> None:
    runs = {"chosen": {"method": "fm", "order": "bgs"}}
    recipes = project.recipes(("runs", runs))
    project.everything(recipes)
    order = {"runs": {"chosen": {"chain": "c", "teachers": ["c"]}}, "config_hash": ""}
    write_json(recipes.layout.order, order)
    Changes(recipes, project.store, Digests()).adopt_one(Task("order"))
    fewer = project.recipes(("runs", runs), ("teachers.c", ...))
    assert Recipes.results(fewer).inputs


def test_an_order_of_an_earlier_version_without_a_run_is_made_anew(project: Project) -> None:
    recipes = project.recipes(("runs", {"chosen": {"method": "fm", "order": "bgs"}}))
    write_json(recipes.layout.order, {"runs": {"other": {"chain": "a"}}})
    assert project.changed(recipes, Task("order")) == ["order"]


def test_a_training_that_diverged_is_not_tried_again_until_it_may_help(
    write_experiment: Callable[..., Path], tmp_path: Path
) -> None:
    project = Project(tmp_path, write_experiment)
    recipes = project.recipes()
    project.data(recipes)
    tried: list[int] = []

    def diverge() -> None:
        tried.append(1)
        raise DivergedError("epoch 1", "has diverged", "lower the rate")

    for _ in range(2):
        with pytest.raises(DivergedError):
            make(recipes, project.store, STUDENT, diverge)
    assert tried == [1]
    fewer = project.recipes(("resources.train.gpus", 3))  # another rate, where it follows the batch
    with pytest.raises(DivergedError):
        make(fewer, project.store, STUDENT, diverge)
    assert tried == [1, 1]
    for other in project.store.failures.iterdir():
        other.unlink()
    with pytest.raises(DivergedError):
        make(recipes, project.store, STUDENT, diverge)
    (note,) = project.store.failures.iterdir()
    assert "has diverged" in note.read_text()
    note.unlink()
    project.train(recipes, STUDENT)
    assert project.trained == [str(STUDENT)]
    assert not list(project.store.failures.iterdir())


def test_a_job_waits_for_another_in_its_folder_before_it_begins(
    write_experiment: Callable[..., Path], tmp_path: Path
) -> None:
    """Before it leases GPUs and starts processes that would wait for it."""
    project = Project(tmp_path, write_experiment)
    recipes = project.recipes()
    project.data(recipes)
    folder = recipes.of(STUDENT).folder
    folder.mkdir(parents=True)
    with FileLock(folder / ".training.lock"):
        job = Thread(target=project.train, args=(recipes, STUDENT))
        job.start()
        job.join(0.5)
        assert job.is_alive()
        assert project.trained == []
    job.join(20)
    assert project.trained == [str(STUDENT)]
