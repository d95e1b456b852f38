"""Which tables and figures of the papers are not what they would be today."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mtpd.digests import Digests
from mtpd.experiment.changes import Changes
from mtpd.experiment.recipes import Made
from mtpd.experiment.records import Record, read_record
from mtpd.files import digest_of
from mtpd.layout import PaperLayout
from mtpd.papers.paper import Paper, content_of

Inputs = Sequence[tuple[str, Made]]
"""Files that an item is made from, each with its experiment's name."""


def record_item(paper: Paper, item: str, results: Path, inputs: Inputs, digests: Digests) -> None:
    """Write what ``item`` was made from; what was not measured yet is no part of it."""
    content = content_of(paper, item)
    found = _digests_of(results, inputs, digests)
    record = Record(digest_of([content, found]), content, found)
    record.save(PaperLayout(results).record(item))


def has_changed(
    paper: Paper,
    item: str,
    results: Path,
    inputs: Inputs,
    changes_of: Callable[[str], Changes],
    digests: Digests,
) -> bool:
    """Whether ``item`` says something else, or was made from other measurements.

    Args:
        paper: All items.
        item: Key of one, such as ``tables.mtpd_best``.
        results: Folder of all results.
        inputs: Files that it is made from.
        changes_of: Gives what has changed in an experiment.
        digests: Of the files.
    """
    record = read_record(PaperLayout(results).record(item))
    if record is None or digest_of(record.settings) != digest_of(content_of(paper, item)):
        return True
    if any(changes_of(experiment).of(made.task) for experiment, made in inputs):
        return True
    return record.inputs != _digests_of(results, inputs, digests)


def _digests_of(results: Path, inputs: Inputs, digests: Digests) -> dict[str, str]:
    """Path below ``results`` → digest, of the files that are there."""
    found = {made.path.relative_to(results).as_posix(): digests.of(made.path) for _, made in inputs}
    return {path: digest for path, digest in found.items() if digest is not None}
