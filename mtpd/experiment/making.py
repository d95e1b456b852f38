"""Doing a job, or taking its results from the store where they were made before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mtpd import __version__
from mtpd.data.sources import own_annotations
from mtpd.errors import UserError
from mtpd.experiment.failures import Failures
from mtpd.experiment.keeping import keep
from mtpd.experiment.recipes import Made, Recipe, Recipes, Task, prepared_parts
from mtpd.experiment.records import Record
from mtpd.files import digest_of, read_json, remove_with_empty_folders
from mtpd.store import TAKEN, Store

logger = logging.getLogger(__name__)


def make(
    recipes: Recipes,
    store: Store,
    task: Task,
    work: Callable[[], Any],
    taken: Callable[[], bool] = lambda: True,
) -> None:
    """Have the results of ``task`` made, recorded and kept.

    Args:
        recipes: Of the experiment.
        store: Where results are kept.
        task: The job.
        work: Makes the results; not called where the store has them.
        taken: Called when the results were taken from the store, to add what is not kept; gives
            whether they will do here.

    Raises:
        UserError: An input is not there or has changed meanwhile, or what ``work`` finds wrong.
    """
    recipe, place = recipes.of(task), recipes.layout.record(task.rule, task.names)
    try:
        inputs = _inputs(recipes, recipe)
    except UserError:
        if recipe.kind:
            raise
        # A person may ask for a figure of what there is so far: the workflow makes it once more.
        with _unfinished(recipe, place):
            work()
        return
    identity = recipe.identity(inputs)
    with _alone(store, recipe, identity), _unfinished(recipe, place):
        if not (_taken(store, recipe, identity) and taken()):
            _worked(store, _circumstances(recipes, task, identity), work)
            _check_unchanged(recipes.again(), task, identity)
            keep(store, recipe, identity, recipes.layout.experiment)
    outputs = prepared_parts(recipes.layout.dataset) if task.rule == "data" else {}
    Record(identity, recipe.settings, inputs, outputs).save(place)


def _circumstances(recipes: Recipes, task: Task, identity: str) -> str:
    """Digest of the identity, and of what may make a difference to whether the work succeeds."""
    experiment = recipes.experiment
    teacher = experiment.method(task.names[0]).teacher if task.rule == "stage" else None
    versions = [__version__, version("torch"), version("mmdet")]
    gpus = experiment.resources.train.gpus
    return digest_of([identity, gpus, teacher and teacher.model_dump(), versions])


def _worked(store: Store, key: str, work: Callable[[], Any]) -> None:
    """Do the work, unless it is known how it fails.

    Raises:
        UserError: It fails, or has failed before and would again.
    """
    failures = Failures(store.failures)
    failures.check(key)
    try:
        work()
    except UserError as error:
        failures.note(key, error)
        raise
    failures.forget(key)


@contextmanager
def _unfinished(recipe: Recipe, place: Path) -> Iterator[None]:
    """Have a record at ``place`` meanwhile that fits no recipe.

    So what is left half made is not taken for results of an earlier version, which have no record.
    """
    Record("", {}, {}).save(place)
    try:
        yield
    except BaseException:
        if not recipe.is_made:
            remove_with_empty_folders(place)
        raise


def identity_of(recipes: Recipes, task: Task) -> str:
    """Identity of the results of ``task``, from what is there now.

    Raises:
        UserError: An input is not there.
    """
    recipe = recipes.of(task)
    return recipe.identity(_inputs(recipes, recipe))


def _inputs(recipes: Recipes, recipe: Recipe) -> dict[str, str]:
    """Digest of every input, by the part that it plays.

    Raises:
        UserError: One is not there, or has changed since it was prepared.
    """
    found = {}
    for role, source in recipe.inputs.items():
        if isinstance(source, Made):
            path, digest = source.path, recipes.digests.of(source.path)
        else:
            path = recipes.layout.dataset
            digest = prepared_parts(path).get(source.part)
            _check_prepared(recipes, source.part)
        if digest is None:
            raise UserError(path, "does not exist", "run the step that makes it first")
        found[role] = digest
    return found


def _check_prepared(recipes: Recipes, part: str) -> None:
    """Annotations that are used where they lie must be those that the data step has seen.

    Raises:
        UserError: They are not.
    """
    own = None if part == "classes" else own_annotations(recipes.experiment.data, part)
    if own is None:
        return
    split = read_json(recipes.layout.dataset)["splits"][part]
    if split["annotations"] is None and recipes.digests.of(own) != split["sha256"]:
        raise UserError(own, "has changed since the data was prepared", "start the workflow again")


def _check_unchanged(recipes: Recipes, task: Task, identity: str) -> None:
    """Refuse results whose settings or inputs were changed while they were made.

    Raises:
        UserError: They were.
    """
    history = recipes.of(task).folder / "history.json"
    trained = read_json(history).get("identity") if history.is_file() else None
    is_other = recipes.of(task).kind == "training" and trained not in (None, identity)
    if is_other or identity_of(recipes, task) != identity:
        problem = "its settings or inputs were changed while the job was running"
        raise UserError(str(task), problem, "start the workflow again")


def _taken(store: Store, recipe: Recipe, identity: str) -> bool:
    """Whether the results were in the store; they are in place then."""
    entry = store.take(recipe.kind, identity, recipe.folder) if recipe.kind else None
    if entry is None:
        return False
    logger.info(
        "%s: %s (%s of %s made it at %s); identity %s",
        recipe.task, TAKEN, entry.target, entry.experiment, entry.made, identity,
    )  # fmt: skip
    return True


@contextmanager
def _alone(store: Store, recipe: Recipe, identity: str) -> Iterator[None]:
    """Be the only job that makes these results, in any experiment; others wait and take them.

    And the only one that trains into this folder: when a scheduler is killed its jobs live on, and
    the next one starts others, perhaps with other settings. Who waits here holds no GPU yet, and
    has no processes that wait for it.

    Raises:
        UserError: A file system has no locks, or cannot be written to.
    """
    if not recipe.kind:
        yield
        return
    remedy = "give a folder on a file system with locks as {} in config/config.yaml"
    with ExitStack() as stack:
        text = f"{recipe.task}: another job makes the same; waiting for it"
        stack.enter_context(_locked(store.lock(identity), text, remedy.format("store")))
        if recipe.kind == "training":
            text = f"another job is training into {recipe.folder}; waiting for it to end"
            path = recipe.folder / ".training.lock"
            stack.enter_context(_locked(path, text, remedy.format("results")))
        yield


@contextmanager
def _locked(path: Path, waiting: str, remedy: str) -> Iterator[None]:
    """Hold the lock file ``path``; says ``waiting`` where another process holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, fallback_to_soft=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            logger.warning("%s", waiting)
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        problem = f"files cannot be locked there ({getattr(error, 'strerror', None) or error})"
        raise UserError(path.parent, problem, remedy) from error
    try:
        yield
    finally:
        lock.release()
