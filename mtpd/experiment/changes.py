"""Which results no longer follow from what they were made from.

Beside its results a job leaves a record: the settings that counted, the digest of every input. A
result is up to date while its recipe says the same today. Times and paths are not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from mtpd.data.sources import class_names, images_folder
from mtpd.digests import UNKNOWN, Digests
from mtpd.experiment.keeping import keep
from mtpd.experiment.recipes import (
    BEGINNING,
    Input,
    Made,
    Prepared,
    Recipe,
    Recipes,
    Task,
    prepared_parts,
)
from mtpd.experiment.records import Record, read_record
from mtpd.experiment.runs import all_members
from mtpd.files import digest_of, read_json
from mtpd.store import Entry, Store


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
        self.unrecorded: set[Task] = set()
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
        """Record, and keep, the results without a record, as if they were made today.

        Those with an input or a setting that is not known get none.
        """
        # The order first: which chains there are, and so what a table has, follows from it.
        for task in sorted(self.unrecorded, key=lambda task: task.rule != "order"):
            now = Changes(self.recipes.again(), self.store, self.digests)
            now.adopt_one(task)

    def adopt_one(self, task: Task) -> None:
        """As :meth:`adopt`, for one job."""
        recipe, layout = self.recipes.of(task), self.recipes.layout
        inputs = {role: self.digest(source) for role, source in recipe.inputs.items()}
        known = {role: digest for role, digest in inputs.items() if digest is not None}
        is_known = known.keys() == inputs.keys() and UNKNOWN not in str(recipe.settings)
        if is_known and recipe.is_made and not self._place(task).exists():
            identity = recipe.identity(known)
            parts = prepared_parts(layout.dataset) if task.rule == "data" else {}
            Record(identity, recipe.settings, known, parts).save(self._place(task))
            keep(self.store, recipe, identity, layout.experiment)

    def digest(self, source: Input) -> str | None:
        """Digest of an input as it is, or will be taken from the store; None: it will be new."""
        if isinstance(source, Prepared):
            return self._prepared(source.part)
        if self.of(source.task):
            return None
        known = self.digests.of(source.path) if self.recipes.of(source.task).is_whole else None
        return known or self._stored(source)

    def is_kept(self, task: Task) -> bool:
        """Whether the store has a job's results as they would be today; False: or nobody can tell.

        What the data step will make is not known before it has run.
        """
        return self._kept(task) is not None

    def _changes(self, task: Task) -> Iterator[str]:
        recipe = self.recipes.of(task)
        if not recipe.is_made:
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
        if task.rule == "data":
            others = filter(self._has_other_images, record.settings)
            yield from (f"{split}: images changed" for split in others)

    def _without_record(self, recipe: Recipe) -> Iterator[str]:
        """Results of an earlier version are taken as they are, unless something shows otherwise."""
        layout, rule = self.recipes.layout, recipe.task.rule
        if rule == "data" and _names_absolute_paths(layout.dataset):
            yield "written by an earlier version"
        elif rule == "order" and not set(all_members(self.recipes.experiment)) <= set(
            read_json(layout.order).get("runs", {})
        ):
            yield "has not all runs"
        elif changed := [r for r, source in recipe.inputs.items() if self.digest(source) is None]:
            yield from (f"{role}: changed" for role in changed)
        else:
            self.unrecorded.add(recipe.task)

    def _prepared(self, part: str) -> str | None:
        """Digest of a part of the prepared data, as far as the user's files are what they were."""
        record = self._data
        if record is None:
            dataset = self.recipes.layout.dataset
            return prepared_parts(dataset).get(part) if dataset.is_file() else None
        now = self.recipes.of(Task("data")).settings
        # Classes are those of the training split.
        split = "train" if part == "classes" else part
        if any(_differences(record.settings.get(split), now[split])):
            return self._classes if part == "classes" else None
        if part != "classes" and self._has_other_images(split):
            return None
        return record.outputs.get(part)

    @cached_property
    def _classes(self) -> str | None:
        """Digest of the class names as the user's files have them; None: it cannot be told."""
        names = class_names(self.recipes.experiment.data)
        return None if names is None else digest_of(names)

    @cached_property
    def _data(self) -> Record | None:
        return read_record(self._place(Task("data")))

    @cached_property
    def _samples(self) -> dict[str, Any]:
        """Description of every prepared split, with the sample of its images."""
        dataset = self.recipes.layout.dataset
        found: dict[str, Any] = read_json(dataset)["splits"] if dataset.is_file() else {}
        return found

    def _has_other_images(self, split: str) -> bool:
        """Whether a sample of the split's images has other bytes than when it was prepared."""
        found = self._samples.get(split, {})
        folder = images_folder(self.recipes.experiment.data, split, self.recipes.layout.data)
        if not found.get("sample") or not folder.is_dir():
            return False
        digest = self.digests.of_all(folder / name for name in found["sample"])
        return bool(digest != found["sample_sha256"])

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
    if now == UNKNOWN or before == now or _begins_so(before, now):
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            below = f"{where}.{key}" if where else str(key)
            yield from _differences(before.get(key), now.get(key), below)
        return
    yield f"{where}: {_short(before)} → {_short(now)}"


def _begins_so(before: Any, now: Any) -> bool:
    """Whether ``now`` is only the beginning of a digest, and ``before`` the whole."""
    return isinstance(now, str) and now.endswith(BEGINNING) and str(before).startswith(now[:-1])


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 30 else f"{text[:27]}…"
