"""Which results no longer follow from what they were made from.

Beside its results a job leaves a record: the settings that counted, the digest of every input. A
result is up to date while its recipe says the same today. Times and paths are not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mtpd.digests import Digests
from mtpd.experiment.recipes import UNKNOWN, Input, Made, Prepared, Recipe, Recipes, Task
from mtpd.experiment.records import Record, read_record
from mtpd.files import digest_of, read_json
from mtpd.store import Entry, Store


def prepared_parts(dataset: Path) -> dict[str, str]:
    """Digest of every part of the prepared data: its splits, and ``classes``.

    Raises:
        UserError: The data was not prepared.
    """
    raw = read_json(dataset, "run the data step first")
    parts = {name: split["sha256"] for name, split in raw["splits"].items()}
    return {**parts, "classes": digest_of(raw["classes"])}


class Changes:
    """What has changed for each job of an experiment since its results were made.

    Args:
        recipes: Of the experiment.
        store: Where a result comes from again that is missing.
        digests: Of results.

    Attributes:
        unrecorded: Jobs seen so far whose results have no record: an earlier version made them.
            They count as made from what the experiment says today.
    """

    def __init__(self, recipes: Recipes, store: Store, digests: Digests) -> None:
        self.recipes, self.store, self.digests = recipes, store, digests
        self.unrecorded: dict[Task, Recipe] = {}
        self._found: dict[Task, tuple[str, ...]] = {}
        self._entries: dict[Task, Entry | None] = {}

    def of(self, task: Task) -> tuple[str, ...]:
        """What has changed for a job, in words; empty: nothing, or it has no results yet."""
        if task not in self._found:
            self._found[task] = tuple(self._changes(task))
        return self._found[task]

    def reasons(self) -> dict[Task, tuple[str, ...]]:
        """What has changed, for the jobs that were asked for and for which anything has."""
        return {task: reasons for task, reasons in self._found.items() if reasons}

    def adopt(self) -> None:
        """Record what the results without a record are taken to be made from.

        Those with an input that is missing or out of date get none.
        """
        for task, recipe in self.unrecorded.items():
            inputs = {role: self.digest(source) for role, source in recipe.inputs.items()}
            known = {role: digest for role, digest in inputs.items() if digest is not None}
            if known.keys() == inputs.keys() and not self._place(task).exists():
                parts = prepared_parts(self.recipes.layout.dataset) if task.rule == "data" else {}
                record = Record(recipe.identity(known), recipe.settings, known, parts)
                record.save(self._place(task))

    def digest(self, source: Input) -> str | None:
        """Digest of an input as it is, or will be taken from the store; None: it will be new."""
        if isinstance(source, Prepared):
            return self._prepared(source.part)
        if self.of(source.task):
            return None
        return self.digests.of(source.path) or self._stored(source)

    def is_kept(self, task: Task) -> bool:
        """Whether the store has a job's results as they would be today; False: or nobody can tell.

        What the data step will make is not known before it has run.
        """
        return self._kept(task) is not None

    def _changes(self, task: Task) -> Iterator[str]:
        recipe = self.recipes.of(task)
        if not recipe.results():
            return
        record = read_record(self._place(task))
        if record is None:
            yield from self._without_record(recipe)
            return
        yield from _differences(record.settings, recipe.settings)
        for role in sorted(record.inputs.keys() | recipe.inputs.keys()):
            if role not in recipe.inputs:
                yield f"{role}: not needed now"
            elif role not in record.inputs:
                yield f"{role}: needed now"
            elif self.digest(recipe.inputs[role]) != record.inputs[role]:
                yield f"{role}: changed"

    def _without_record(self, recipe: Recipe) -> Iterator[str]:
        """Results of an earlier version are taken as they are, but for how data is described."""
        if recipe.task.rule == "data" and _names_absolute_paths(self.recipes.layout.dataset):
            yield "written by an earlier version"
        else:
            self.unrecorded[recipe.task] = recipe

    def _prepared(self, part: str) -> str | None:
        """Digest of a part of the prepared data, as far as the user's files are what they were."""
        record = read_record(self._place(Task("data")))
        if record is None:
            dataset = self.recipes.layout.dataset
            return prepared_parts(dataset).get(part) if dataset.is_file() else None
        now = self.recipes.of(Task("data")).settings
        # Classes are those of the training split.
        split = "train" if part == "classes" else part
        if any(
            True for _ in _differences({split: record.settings.get(split)}, {split: now[split]})
        ):
            return None
        return record.outputs.get(part)

    def _stored(self, source: Made) -> str | None:
        """Digest of a missing file that the store will give back; None: it will not."""
        return self._digest_in(self._entry(source.task, self.digest), source)

    def _kept(self, task: Task) -> Entry | None:
        """As :meth:`is_kept`, where inputs too may be about to come from the store."""
        if task not in self._entries:
            self._entries[task] = self._entry(task, self._coming)
        return self._entries[task]

    def _coming(self, source: Input) -> str | None:
        """As :meth:`digest`, but of a changed result the store may have today's."""
        known = self.digest(source)
        if known is None and isinstance(source, Made):
            return self._digest_in(self._kept(source.task), source)
        return known

    def _entry(self, task: Task, digest: Callable[[Input], str | None]) -> Entry | None:
        """What the store has for a job, given the digests of its inputs."""
        recipe = self.recipes.of(task)
        inputs = {role: digest(one) for role, one in recipe.inputs.items()}
        if not recipe.kind or None in inputs.values():
            return None
        return self.store.find(recipe.kind, recipe.identity(inputs))

    def _digest_in(self, entry: Entry | None, source: Made) -> str | None:
        name = str(source.path.relative_to(self.recipes.of(source.task).folder))
        return None if entry is None else entry.files.get(name)

    def _place(self, task: Task) -> Path:
        return self.recipes.layout.record(task.rule, task.names)


def _names_absolute_paths(dataset: Path) -> bool:
    """Whether the prepared data is described as earlier versions did."""
    return any("images" in split for split in read_json(dataset)["splits"].values())


def _differences(before: Any, now: Any, where: str = "") -> Iterator[str]:
    """Every place where two JSON-like values differ, by dotted key; what is unknown is skipped."""
    if now == UNKNOWN or before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            below = f"{where}.{key}" if where else str(key)
            yield from _differences(before.get(key), now.get(key), below)
        return
    yield f"{where}: {_short(before)} → {_short(now)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 30 else f"{text[:27]}…"
