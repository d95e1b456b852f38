"""Which files of others an experiment needs, to be fetched before its jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mtpd.detectors.sources import is_remote, may_be_pretrained
from mtpd.settings.experiment import Experiment
from mtpd.zoo.sources import Remote, remote_weights


def remote_files(experiment: Experiment) -> dict[str, Remote]:
    """Weights of the experiment's detectors that have to be fetched, by name in the cache."""
    found = (remote_weights(experiment.detector(name)) for name in experiment.detectors)
    return {remote.file: remote for remote in found if remote is not None}


def starts_pretrained(experiment: Experiment, name: str) -> bool:
    """Whether parts of the detector may start from published weights when it is trained.

    A detector whose weights are given is not trained, unless it is the student of a method that
    starts afresh.
    """
    detector = experiment.detector(name)
    if detector.weights is not None or detector.start_from is not None:
        chosen = [experiment.methods[run.method].start for run in experiment.runs.values()]
        if name != experiment.student.name or set(chosen) <= {"baseline"}:
            return False
    return may_be_pretrained(detector.config) or any(
        is_remote(value) for value in _strings(detector.options)
    )


def _strings(value: Any) -> Iterator[str]:
    """All strings in nested dictionaries and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(part)
