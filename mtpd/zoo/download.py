"""Fetching one file by HTTP: it goes on where it was cut off, and counts only when verified."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock, Timeout

from mtpd.errors import UserError
from mtpd.files import read_json, sha256_of, write_json
from mtpd.settings.runtime import Zoo
from mtpd.zoo.progress import Advance, progress
from mtpd.zoo.sources import Remote

ATTEMPTS = 5
"""Attempts in a row that bring no byte, after which the host counts as unreachable."""
LONGEST_PAUSE = 60.0
TIMEOUTS = (15, 60)
"""Seconds to connect, and between two pieces of the answer."""
BLOCK = 1 << 16
LATER = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses after which the same request may succeed."""
RANGE_NOT_SATISFIABLE = 416

logger = logging.getLogger(__name__)


class _Again(Exception):  # noqa: N818  no error of the user's
    """An attempt failed; the next may not."""


@dataclass(frozen=True)
class _Version:
    """Which file a partial one is the beginning of.

    Attributes:
        url: Where it comes from.
        validator: Strong ETag, or date of the last change; None: the host gives neither.
        total: Its bytes; None: the host does not say.
    """

    url: str
    validator: str | None
    total: int | None


def fetch(remote: Remote, zoo: Zoo, pause: float = 1.0) -> Path:
    """Path of ``remote`` in the cache, where it is put first if need be.

    Of several processes that want the same file one fetches it, and the others wait.

    Args:
        remote: The file.
        zoo: Cache, mirrors, and whether anything may be fetched.
        pause: Seconds before the second attempt; twice as long before each further one.

    Raises:
        UserError: It cannot be had, or is not what its hash says.
    """
    path = remote.path(zoo)
    if path.is_file():
        return _verified(path, remote)  # without a lock, in a cache that others have filled
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        if path.is_file():
            return _verified(path, remote)
        if zoo.offline:
            problem = "is not in the cache, and zoo.offline is set"
            raise UserError(remote.url, problem, _by_hand(path))
        part = path.with_name(f"{path.name}.part")
        _download(zoo.mirrored(remote.url), part, path, pause)
        _check_download(part, remote)
        part.replace(path)
    return path


def described(remote: Remote, path: Path) -> dict[str, Any]:
    """What is noted of a file in the cache."""
    return {"url": remote.url, "path": str(path), "sha256": sha256_of(path)}


def _verified(path: Path, remote: Remote) -> Path:
    """``path``, after a look at its hash.

    Raises:
        UserError: It is another.
    """
    _verify(path, remote, "delete the file, and fetch it again")
    return path


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only process that fetches ``path``."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        logger.info("%s: another process is fetching it; waiting", path.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _check_download(part: Path, remote: Remote) -> None:
    """Check what was fetched; it is removed if it is wrong.

    Raises:
        UserError: It has another hash.
    """
    _version_file(part).unlink(missing_ok=True)
    try:
        _verify(part, remote, "it was removed: fetch it again, or from another of zoo.mirrors")
    except UserError:
        part.unlink()
        raise


def _verify(path: Path, remote: Remote, remedy: str) -> None:
    """Check the hash, if anybody says what it must be.

    Raises:
        UserError: It is another.
    """
    found = sha256_of(path)
    if not found.startswith(remote.sha256 or ""):
        problem = f"what lies in {path} has the SHA-256 {found[:16]}…, not {remote.sha256}…"
        raise UserError(remote.url, problem, remedy)


def _download(url: str, part: Path, path: Path, pause: float) -> None:
    """Fill ``part`` with all of ``url``, in as many attempts as it takes.

    Raises:
        UserError: The host refuses it or cannot be reached, or the disk is full.
    """
    logger.info("fetching %s to %s", url, path)
    failures = 0
    with progress(path.name) as advance, requests.Session() as session:
        while True:
            before = _size(part)
            try:
                _attempt(session, url, part, advance)
                return
            except _Again as reason:
                failures = 1 if _size(part) > before else failures + 1
                if failures == ATTEMPTS:
                    problem = f"cannot be fetched ({reason}; {failures} attempts)"
                    raise UserError(url, problem, _by_hand(path)) from reason
                logger.warning("%s: %s; trying again", path.name, reason)
                time.sleep(min(pause * 2 ** (failures - 1), LONGEST_PAUSE))
            except requests.RequestException as error:
                problem = f"cannot be fetched ({error})"
                raise UserError(url, problem, _by_hand(path)) from error
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise _disk_full(part, None) from error


def _attempt(session: requests.Session, url: str, part: Path, advance: Advance) -> None:
    """Ask once for what ``part`` lacks, and append what comes.

    Raises:
        _Again: The connection or the host failed on the way.
        UserError: There is no room on the disk.
        requests.RequestException: The host refuses.
    """
    known, done = _known(url, part)
    if known is not None and done == known.total:
        return
    # Compressed, the bytes of a range would not be those of the file.
    headers = {"Accept-Encoding": "identity"}
    if known is not None:
        headers["Range"] = f"bytes={done}-"
        if known.validator is not None:
            headers["If-Range"] = known.validator
    try:
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as answer:
            _check_status(answer)
            if known is not None and not _goes_on(answer, known, done):
                part.unlink(missing_ok=True)
                if answer.status_code != 200:
                    raise _Again("the file has changed on the host")
                done, known = 0, None
            if known is None:
                known = _version_of(url, answer)
                write_json(_version_file(part), asdict(known))
            _append(answer, part, done, known.total, advance)
    except (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
    ) as error:
        raise _Again(_reason(error)) from error
    if known.total is not None and _size(part) != known.total:
        raise _Again(f"{_size(part)} of {known.total} bytes came")


def _check_status(answer: requests.Response) -> None:
    """Whether the host gives anything; a refusal says nothing of the part that is there.

    Raises:
        _Again: It may do so later.
        requests.RequestException: It refuses; but not where there is no such range.
    """
    if answer.status_code in LATER:
        raise _Again(f"the host answers {answer.status_code} {answer.reason}")
    if answer.status_code != RANGE_NOT_SATISFIABLE:
        answer.raise_for_status()


def _append(
    answer: requests.Response, part: Path, done: int, total: int | None, advance: Advance
) -> None:
    """Append the body to ``part``, which is on the disk when this returns.

    Raises:
        UserError: There is no room.
    """
    if total is not None and shutil.disk_usage(part.parent).free < total - done:
        raise _disk_full(part, total - done)
    advance(done, total)
    with part.open("ab") as file:
        try:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                done += len(block)
                advance(done, total)
        finally:
            file.flush()
            os.fsync(file.fileno())


def _known(url: str, part: Path) -> tuple[_Version | None, int]:
    """What ``part`` is the beginning of, and its bytes; what cannot be gone on with is removed."""
    try:
        known = _Version(**read_json(_version_file(part)))
    except (UserError, TypeError):
        known = None
    done = _size(part)
    if known is None or known.url != url or not done or done > (known.total or done):
        part.unlink(missing_ok=True)
        return None, 0
    return known, done


def _goes_on(answer: requests.Response, known: _Version, done: int) -> bool:
    """Whether the answer is the rest of the very file that was begun."""
    start = f"bytes {done}-"
    place, _, total = answer.headers.get("Content-Range", "").partition("/")
    same_length = known.total is None or total in (str(known.total), "*")
    same = known.validator is not None or known.total is not None
    return answer.status_code == 206 and place.startswith(start) and same_length and same


def _version_of(url: str, answer: requests.Response) -> _Version:
    """What the whole of ``answer`` is."""
    etag = answer.headers.get("ETag", "")
    strong = etag if etag and not etag.startswith("W/") else None
    length = answer.headers.get("Content-Length", "")
    encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
    total = int(length) if length.isdecimal() and not encoded else None
    return _Version(url, strong or answer.headers.get("Last-Modified"), total)


def _reason(error: requests.RequestException) -> str:
    """What went wrong with the connection, in a few words."""
    text = str(error)
    for sign, words in (
        ("NameResolution", "the host's name is not known here"),
        ("Name or service not known", "the host's name is not known here"),
        ("Connection refused", "the host refuses the connection"),
        ("unreachable", "the network is unreachable"),
        ("timed out", "the host does not answer in time"),
        ("IncompleteRead", "the connection was cut"),
        ("reset by peer", "the connection was cut"),
        ("Remote end closed", "the connection was cut"),
        ("CERTIFICATE_VERIFY_FAILED", "the host's certificate is not valid here"),
        ("ProxyError", "the proxy does not connect"),
    ):
        if sign in text:
            return words
    return type(error).__name__


def _by_hand(path: Path) -> str:
    """The remedies where this machine cannot fetch a file."""
    return (
        "run `mtpd zoo fetch` where there is a network and the same cache, name another host in "
        f"zoo.mirrors of config/config.yaml, or put the file by hand at {path}"
    )


def _disk_full(part: Path, needed: int | None) -> UserError:
    amount = "is full" if needed is None else f"has no room for {needed / 1e6:.0f} MB"
    return UserError(
        f"zoo.cache: {part.parent}",
        f"the disk {amount}",
        "make room, or name another folder; what is there already is kept",
    )


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
