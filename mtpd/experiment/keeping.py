"""Putting finished results into the store."""

from __future__ import annotations

from mtpd.experiment.recipes import Recipe
from mtpd.store import Store, new_entry


def keep(store: Store, recipe: Recipe, identity: str, experiment: str) -> None:
    """Put the results of a job into the store; a training's states are not needed any more then.

    Args:
        store: The store.
        recipe: Of the job, whose results are there.
        identity: Digest of what they were made from.
        experiment: Name of the experiment.
    """
    if not recipe.kind or not recipe.is_made:
        return
    target = " ".join(recipe.task.names)
    entry = new_entry(recipe.kind, identity, experiment, target, recipe.results(), recipe.settings)
    if store.put(entry, recipe.folder):
        store.forget_states(identity)
