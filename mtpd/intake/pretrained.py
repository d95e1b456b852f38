"""Whether published weights can be had: from the cache, or from their host."""

from __future__ import annotations

import requests

from mtpd.detectors.sources import config_file
from mtpd.errors import UserError
from mtpd.settings.experiment import Detector
from mtpd.settings.runtime import Zoo
from mtpd.zoo.download import REASONS
from mtpd.zoo.sources import Remote, remote_weights

SECONDS = 5
"""To wait for a host: what cannot be had is left out of a proposal, and nothing waits longer."""


def why_not(config: str, zoo: Zoo) -> str | None:
    """Why a training cannot start from what MMDetection publishes for ``config``; None: it can."""
    try:
        remote = remote_weights(Detector(config=config, start_from="zoo"))
    except UserError:
        return "MMDetection publishes no weights for it"
    assert remote is not None
    return why_unreachable(remote, zoo)


def why_no_backbone(config: str, zoo: Zoo) -> str | None:
    """As :func:`why_not`, of what the config itself starts its backbone from."""
    from mmengine.config import Config

    from mtpd.zoo.pretrained import pretrained_files

    needed = pretrained_files(Config.fromfile(config_file(config)).model).values()
    if not needed:
        return "its config names no weights"
    return next(filter(None, (why_unreachable(remote, zoo) for remote in needed)), None)


def why_unreachable(remote: Remote, zoo: Zoo) -> str | None:
    """Why a file cannot be had; None: it lies in the cache, or its host has it."""
    if remote.path(zoo).is_file():
        return None
    if zoo.offline:
        return "it is not in the cache, and zoo.offline is set"
    url = zoo.mirrored(remote.url)
    host = url.split("/")[2]
    try:
        answer = requests.head(url, timeout=SECONDS, allow_redirects=True)
    except requests.RequestException as error:
        said = next((words for key, words in REASONS.items() if key in str(error)), "no answer")
        return f"{host}: {said}"
    return None if answer.ok else f"{host} answers {answer.status_code} {answer.reason}"
