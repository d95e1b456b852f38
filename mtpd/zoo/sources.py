"""Where the weights lie that an experiment names: a file, an address, or what the zoo lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mtpd.errors import UserError
from mtpd.files import digest_of
from mtpd.settings.experiment import Detector
from mtpd.settings.runtime import Zoo, is_url, workflow_settings
from mtpd.zoo.metafiles import published

ZOO = "zoo"
_DATE = r"(?:19|20)[0-9]{6}\."
_HASH = re.compile(rf"-(?!{_DATE})([0-9a-f]{{8,64}})\.(?:pth|pt|pth\.tar)$")
FILE_PATTERN = r"[\w.+-]+"
"""Regular expression of a fetched file's name in the cache."""


@dataclass(frozen=True)
class Remote:
    """A file to fetch.

    Attributes:
        url: Its address, before mirrors.
        sha256: Start of the hash that it must have; None: nobody says.
        listed: Whether MMDetection's metafiles list it, and with that hash.
    """

    url: str
    sha256: str | None = None
    listed: bool = False

    @property
    def file(self) -> str:
        """Name in the cache: the address's own, made unique where it bears no hash.

        So are addresses that end like one that is listed: theirs must not take that file's place.
        """
        name = re.sub(r"[^\w.+-]", "_", _name(self.url)).lstrip(".")
        is_own = is_listed(self.url) or name not in _listed_names()
        return name if _HASH.search(name) and is_own else f"{digest_of(self.url)[:8]}_{name}"

    def path(self, zoo: Zoo) -> Path:
        """Where it lies in the cache."""
        return zoo.folder / self.file


@dataclass(frozen=True)
class Weights:
    """A checkpoint on this machine, and by what it may be more than tensors."""

    path: Path
    sha256: str | None
    trusted: bool


def sha256_of_name(url: str) -> str | None:
    """Start of the SHA-256 that a published file's name ends with; None: it bears none."""
    match = _HASH.search(_name(url))
    # Never a whole hash: an address that names its own shows damage, not who made the file.
    return match[1][:32] if match else None


def remote_weights(detector: Detector) -> Remote | None:
    """What has to be fetched for ``weights`` or ``start_from``; None: it is a file, or not given.

    Raises:
        UserError: MMDetection lists no weights for the detector's config.
    """
    given = detector.weights or detector.start_from
    if given is None or not (given == ZOO or is_url(given)):
        return None
    url = zoo_weights(detector.config) if given == ZOO else given
    own = sha256_of_name(url)
    listed = own is not None and is_listed(url)
    if detector.sha256 is not None:
        return Remote(url, detector.sha256, listed and detector.sha256.startswith(str(own)))
    return Remote(url, own, listed)


def is_listed(url: str) -> bool:
    """Whether MMDetection's metafiles list weights at this address."""
    return any(record.weights == url for record in published().records.values())


@cache
def _listed_names() -> frozenset[str]:
    """File names of all weights that MMDetection's metafiles list."""
    return frozenset(_name(r.weights) for r in published().records.values() if r.weights)


def zoo_weights(config: str) -> str:
    """Address of the weights that MMDetection lists for ``config``.

    Raises:
        UserError: It lists none.
    """
    record = published().records.get(config)
    if record is not None and record.weights is not None:
        return record.weights
    problem = (
        "is not in MMDetection's metafiles"
        if record is None
        else "has no weights in MMDetection's metafiles"
    )
    raise UserError(
        config,
        problem,
        "give the weights' file or address, or leave the key out to train the detector here; "
        "`mtpd zoo search` shows what there is",
    )


def weights_file(given: str) -> Path:
    """Path of ``weights`` or ``start_from`` that are a file.

    A file that the working folder does not have may be the project's. The path may not exist.
    """
    return workflow_settings().found(Path(given))


def given_weights(detector: Detector, zoo: Zoo) -> Weights | None:
    """The checkpoint of ``weights`` or ``start_from`` on this machine; None: not given.

    Raises:
        UserError: It has to be fetched first.
    """
    given = detector.weights or detector.start_from
    if given is None:
        return None
    remote = remote_weights(detector)
    if remote is None:
        return Weights(weights_file(given), detector.sha256, detector.trusted)
    path = remote.path(zoo)
    if not path.is_file():
        raise UserError(
            path, f"{remote.url} is not in the cache", f"run `mtpd zoo fetch {remote.url}`"
        )
    # Eight digits can be forged: they vouch for the published host, not for a mirror.
    published_there = remote.listed and zoo.mirrored(remote.url) == remote.url
    return Weights(path, remote.sha256, detector.trusted or published_there)


def _name(url: str) -> str:
    """File name at the end of an address."""
    return unquote(urlsplit(url).path).rpartition("/")[2]
