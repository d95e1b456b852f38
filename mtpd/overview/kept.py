"""What the store keeps, and which of it an experiment still names."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from mtpd.experiment.records import read_record
from mtpd.store import Entry, Store


@dataclass(frozen=True)
class Kept:
    """An entry of the store.

    Attributes:
        entry: The entry.
        experiments: That have these results now; empty: none has.
        is_needed: Whether removing it could cost work: an experiment has these results, or has none
            for that job any more, as its folder was deleted, and this is the newest that it had.
    """

    entry: Entry
    experiments: tuple[str, ...]
    is_needed: bool


def what_is_kept(store: Store, results: Path, experiments: Collection[str]) -> list[Kept]:
    """Every entry of the store, with the experiments that have its results.

    Args:
        store: The store.
        results: Folder of all results.
        experiments: Names of those that exist.
    """
    users: dict[str, list[str]] = {}
    recorded: set[tuple[str, str, str]] = set()
    for path in sorted(results.glob("*/made/**/*.json")):
        # Not with_suffix: names may have dots.
        experiment, _, rule, *names = str(path.relative_to(results))[: -len(".json")].split("/")
        record = read_record(path)
        if record is not None:
            users.setdefault(record.identity, []).append(experiment)
            recorded.add((experiment, _kind_of(rule), " ".join(names)))
    entries = list(store.entries())
    newest = _newest(entries)
    found = []
    for entry in entries:
        job = entry.experiment, _kind_of(entry.kind), entry.target
        lost = entry.experiment in experiments and job not in recorded and newest[job] is entry
        own = tuple(dict.fromkeys(users.get(entry.identity, ())))
        found.append(Kept(entry, own, bool(own) or lost))
    return found


def _kind_of(name: str) -> str:
    """What the rule and the kind of the results of one job have in common."""
    kinds = {"train": "training", "stage": "training", "taken_over": "training"}
    return kinds.get(name, "evaluation" if name.startswith("evaluat") else name)


def _newest(entries: Iterable[Entry]) -> dict[tuple[str, str, str], Entry]:
    """The entry made last for every job."""
    found: dict[tuple[str, str, str], Entry] = {}
    for entry in sorted(entries, key=lambda entry: entry.made):
        found[entry.experiment, _kind_of(entry.kind), entry.target] = entry
    return found
