"""Fetching the published weights that parts of a detector start from."""

from __future__ import annotations

from mtpd.detectors.own_config import own_config
from mtpd.files import write_json
from mtpd.layout import Layout
from mtpd.settings.experiment import Experiment
from mtpd.settings.runtime import Zoo
from mtpd.zoo.download import described, fetch
from mtpd.zoo.pretrained import pretrained_files
from mtpd.zoo.sources import Remote


def fetch_pretrained(experiment: Experiment, name: str, layout: Layout, zoo: Zoo) -> None:
    """Fetch what parts of the detector ``name`` start from, and write ``pretrained.json``.

    Raises:
        UserError: A file cannot be had.
    """
    found = {
        address: described(remote, fetch(remote, zoo))
        for address, remote in pretrained_of(experiment, name).items()
    }
    write_json(layout.detector(name).pretrained, found)


def pretrained_of(experiment: Experiment, name: str) -> dict[str, Remote]:
    """What parts of the detector ``name`` start from, by the address in its config."""
    return pretrained_files(own_config(name, experiment.detector(name)).model)
