"""Doing a job, or taking its results from the store where they were made before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from filelock import FileLock, Timeout

from mtpd.errors import UserError
from mtpd.experiment.changes import prepared_parts
from mtpd.experiment.recipes import Made, Recipe, Recipes, Task
from mtpd.experiment.records import Record
from mtpd.store import Store, new_entry

logger = logging.getLogger(__name__)

Work = Callable[[Recipe], Any]
"""What makes the results."""


def make(
    recipes: Recipes,
    store: Store,
    task: Task,
    work: Work,
    taken: Callable[[Recipe], bool] = lambda _: True,
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
        UserError: An input is not there, or whatever ``work`` finds wrong.
    """
    recipe = recipes.of(task)
    inputs = _inputs(recipes, recipe)
    identity = recipe.identity(inputs)
    with _alone(store, recipe, identity):
        if not (_taken(store, recipe, identity) and taken(recipe)):
            work(recipe)
            _keep(store, recipe, identity, recipes.layout.experiment)
    outputs = prepared_parts(recipes.layout.dataset) if task.rule == "data" else {}
    record = Record(identity, recipe.settings, inputs, outputs)
    record.save(recipes.layout.record(task.rule, task.names))


def identity_of(recipes: Recipes, task: Task) -> str:
    """Identity of the results of ``task``, from what is there now.

    Raises:
        UserError: An input is not there.
    """
    recipe = recipes.of(task)
    return recipe.identity(_inputs(recipes, recipe))


def _inputs(recipes: Recipes, recipe: Recipe) -> dict[str, str]:
    """Digest of every input, by the part that it plays."""
    found = {}
    for role, source in recipe.inputs.items():
        if isinstance(source, Made):
            digest = recipes.digests.of(source.path)
            path = source.path
        else:
            path = recipes.layout.dataset
            digest = prepared_parts(path).get(source.part)
        if digest is None:
            raise UserError(path, "is not there", "run the step that makes it first")
        found[role] = digest
    return found


def _taken(store: Store, recipe: Recipe, identity: str) -> bool:
    """Whether the results were in the store; they are in place then."""
    entry = store.take(recipe.kind, identity, recipe.folder) if recipe.kind else None
    if entry is None:
        return False
    logger.info(
        "%s: taken from the store (%s of %s made it at %s); identity %s",
        recipe.task, entry.target, entry.experiment, entry.made, identity,
    )  # fmt: skip
    return True


def _keep(store: Store, recipe: Recipe, identity: str, experiment: str) -> None:
    """Put the results into the store; a training's states are not needed any more then."""
    if not recipe.kind:
        return
    target = " ".join(recipe.task.names)
    entry = new_entry(recipe.kind, identity, experiment, target, recipe.results(), recipe.settings)
    if store.put(entry, recipe.folder):
        store.forget_states(identity)


@contextmanager
def _alone(store: Store, recipe: Recipe, identity: str) -> Iterator[None]:
    """Be the only process that makes these results, in any experiment; others wait and take them.

    Raises:
        UserError: The store's file system has no locks, or cannot be written to.
    """
    if not recipe.kind:
        yield
        return
    path = store.lock(identity)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, fallback_to_soft=False)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            logger.warning("%s: another job makes the same; waiting for it", recipe.task)
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        problem = f"no lock can be had there ({getattr(error, 'strerror', None) or error})"
        remedy = "name a folder on a file system with locks as store in config/config.yaml"
        raise UserError(store.folder, problem, remedy) from error
    try:
        yield
    finally:
        lock.release()
