"""Fetching published weights into the cache, by what they are named for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mtpd.errors import UserError
from mtpd.experiment.fetching import remote_files, starts_pretrained
from mtpd.experiment.load import open_experiment
from mtpd.files import write_json
from mtpd.settings.runtime import is_url, workflow_settings
from mtpd.zoo.download import described, fetch
from mtpd.zoo.sources import Remote, sha256_of_name, zoo_weights


def fetch_named(names: Sequence[str], sha256: str | None, note: Path | None) -> list[Path]:
    """Fetch what ``names`` stand for; gives where it lies.

    Args:
        names: Experiments, by name or YAML file: all that their jobs need from elsewhere;
            configs: the weights that the zoo lists; addresses.
        sha256: Start of the hash of the one file that is named.
        note: Gets address, path and hash of the one file that is named.

    Raises:
        UserError: A file cannot be had.
    """
    zoo = workflow_settings().zoo
    remotes = list(dict.fromkeys(remote for name in names for remote in _remotes(name)))
    if sha256 is not None or note is not None:
        if len(remotes) != 1:
            problem = f"--sha256 and --note are for one file, but {len(remotes)} are named"
            raise UserError("mtpd zoo fetch", problem, "name one address or config")
        remotes = [replace(remotes[0], sha256=(sha256 or "").lower() or remotes[0].sha256)]
    paths = [fetch(remote, zoo) for remote in remotes]
    if note is not None:
        write_json(note, described(remotes[0], paths[0]))
    return paths


def _remotes(name: str) -> list[Remote]:
    """The files that a name on the command line stands for."""
    if is_url(name):
        return [Remote(name, sha256_of_name(name))]
    if "::" in name or Path(name).suffix == ".py":
        url = zoo_weights(name)
        return [Remote(url, sha256_of_name(url))]
    experiment, _ = open_experiment(name)
    found = list(remote_files(experiment).values())
    for detector in experiment.detectors:
        if starts_pretrained(experiment, detector):
            # It reads configs by MMEngine, which a file named by its address need not wait for.
            from mtpd.steps.pretrained import pretrained_of

            found += pretrained_of(experiment, detector).values()
    return found
