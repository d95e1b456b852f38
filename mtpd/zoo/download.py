"""Fetching one file by HTTP: it goes on where it was cut off, and counts only when verified."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock, Timeout

from mtpd.detectors.file_kinds import kind_of
from mtpd.errors import UserError
from mtpd.files import sha256_of
from mtpd.settings.runtime import Zoo
from mtpd.zoo.progress import Advance, progress
from mtpd.zoo.sources import Remote

ATTEMPTS = 5
"""Attempts in a row that get no further, after which the host counts as unreachable."""
TIMEOUTS = (15, 60)
"""Seconds to connect, and between two pieces of the answer."""
BLOCK = 1 << 16
LATER = (408, 416, 425, 429, 500, 502, 503, 504)
"""HTTP statuses after which another attempt may succeed."""
PASSING = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
"""Errors after which it may, too."""
REASONS = {
    "ProxyError": "the proxy does not connect",
    "NameResolutionError": "the host's name is not known here",
    "Connection refused": "the host refuses the connection",
    "unreachable": "the network is unreachable",
    "timed out": "the host does not answer in time",
    "CERTIFICATE_VERIFY_FAILED": "the host's certificate is not valid here",
    "Connection aborted": "the connection was cut",
    "Connection broken": "the connection was cut",
}
"""What a message of requests means that contains the key."""

logger = logging.getLogger(__name__)


def fetch(remote: Remote, zoo: Zoo, pause: float = 1.0) -> Path:
    """Path of ``remote`` in the cache, where it is put first if need be.

    Of several processes that want the same file one fetches it, and the others wait. What is
    there is read without a lock, as others may have filled the cache.

    Args:
        remote: The file.
        zoo: Cache, mirrors, and whether anything may be fetched.
        pause: Seconds before the second attempt; twice as long before each further one.

    Raises:
        UserError: It cannot be had, or is not what its hash says.
    """
    path = remote.path(zoo)
    if not path.is_file():
        if zoo.offline:
            problem = "is not in the cache, and zoo.offline is set"
            raise UserError(remote.url, problem, _by_hand(path))
        with _alone(path):
            if not path.is_file():
                _fetch(remote, zoo.mirrored(remote.url), path, pause)
                return path
    if fault := _fault(path, remote):
        raise UserError(remote.url, fault, "delete the file, and fetch it again")
    return path


def described(remote: Remote, path: Path) -> dict[str, Any]:
    """What is noted of a file in the cache."""
    return {"url": remote.url, "path": str(path), "sha256": sha256_of(path)}


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Be the only process that fetches ``path``, whose folder is made.

    Raises:
        UserError: Nothing can be locked there.
    """
    # Never a mere marker in place of a lock: a killed process would leave it behind.
    lock = FileLock(path.with_name(f".{path.name}.lock"), fallback_to_soft=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            held = lock.acquire(blocking=False)
        except Timeout:
            logger.info("%s: another process is fetching it; waiting", path.name)
            held = lock.acquire()
    except (OSError, NotImplementedError) as error:
        problem = f"files cannot be locked there ({getattr(error, 'strerror', None) or error})"
        remedy = "give a folder that you may write to, on a file system with locks"
        raise UserError(f"zoo.cache: {path.parent}", problem, remedy) from error
    with held:
        yield


def _fetch(remote: Remote, url: str, path: Path, pause: float) -> None:
    """Put what is at ``url`` at ``path`` if its hash is right.

    Raises:
        UserError: It cannot be had, or has another hash, or is no file of weights, such as a page
            of a host that asks for a login; then it is removed.
    """
    logger.info("fetching %s to %s", url, path)
    part = path.with_name(f"{path.name}.part")
    resume = remote.sha256 is not None  # the hash alone tells whether the pieces fit together
    whole = resume and part.is_file() and not _fault(part, remote)
    spliced = not whole and _download(url, part, resume, pause)
    fault = _fault(part, remote)
    if fault and spliced:
        logger.warning("%s: the pieces do not fit together; fetching it anew", path.name)
        part.unlink()
        _download(url, part, resume, pause)
        fault = _fault(part, remote)
    if fault:
        part.unlink()
        remedy = "it was removed: fetch it again, or give another host in zoo.mirrors"
        raise UserError(remote.url, fault, remedy)
    part.replace(path)


def _fault(path: Path, remote: Remote) -> str | None:
    """What is wrong with a file; None: nothing, as far as its hash or its first bytes tell."""
    found = None if remote.sha256 is None else sha256_of(path)
    if found is not None and found.startswith(str(remote.sha256)):
        return None
    if kind := kind_of(path):
        return f"what lies in {path} {kind[0]}"
    if found is None:
        return None
    return f"what lies in {path} has the SHA-256 {found[:16]}…, not {remote.sha256}…"


def _download(url: str, part: Path, resume: bool, pause: float) -> bool:
    """Fill ``part`` with all of ``url``; gives whether it was put together from pieces.

    Raises:
        UserError: The host refuses it or cannot be reached, or the disk is full.
    """
    furthest = failures = 0
    with progress(part.stem) as advance, requests.Session() as session:
        while True:
            if not resume:
                part.unlink(missing_ok=True)
            try:
                return _attempt(session, url, part, advance)
            except requests.RequestException as error:
                size = _size(part)
                failures = 1 if size > furthest else failures + 1
                furthest = max(furthest, size)
                if failures == ATTEMPTS or not isinstance(error, PASSING):
                    problem = f"cannot be fetched ({_reason(error)})"
                    raise UserError(url, problem, _by_hand(part.with_suffix(""))) from error
                logger.warning("%s: %s; trying again", part.stem, _reason(error))
                time.sleep(pause * 2 ** (failures - 1))


def _attempt(session: requests.Session, url: str, part: Path, advance: Advance) -> bool:
    """Ask once for what ``part`` lacks, and append it; gives whether something was there before.

    Raises:
        requests.RequestException: The host refuses it, or the connection failed on the way.
        UserError: There is no room on the disk.
    """
    # Compressed, the bytes of a range would not be those of the file.
    headers = {"Accept-Encoding": "identity"}
    if start := _size(part):
        headers["Range"] = f"bytes={start}-"
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as answer:
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)  # it is no beginning: the file ends before
        if answer.status_code in LATER:
            raise requests.ConnectionError(f"the host answers {answer.status_code} {answer.reason}")
        answer.raise_for_status()
        is_rest = answer.status_code == HTTPStatus.PARTIAL_CONTENT
        if not is_rest:
            part.unlink(missing_ok=True)
        _append(answer, part, advance)
        return is_rest


def _append(answer: requests.Response, part: Path, advance: Advance) -> None:
    """Append the body to ``part``, which is on the disk when this returns.

    Raises:
        requests.RequestException: The body was cut.
        UserError: There is no room on the disk.
    """
    done = _size(part)
    length = answer.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() else None
    if total is not None and shutil.disk_usage(part.parent).free < total - done:
        raise _disk_full(part, f"has no room for {(total - done) / 1e6:.0f} MB")
    advance(done, total)
    try:
        with part.open("ab") as file:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                done += len(block)
                advance(done, total)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _disk_full(part, "is full") from error


def _reason(error: requests.RequestException) -> str:
    """What went wrong with the connection."""
    text = str(error)
    return next((words for sign, words in REASONS.items() if sign in text), text)


def _by_hand(path: Path) -> str:
    """The remedies where this machine cannot fetch a file."""
    return (
        "run `mtpd zoo fetch` where there is a network and the same cache, name another host in "
        f"zoo.mirrors of config/config.yaml, or put the file by hand at {path}"
    )


def _disk_full(part: Path, problem: str) -> UserError:
    remedy = "make room, or give another folder; what is there already is kept"
    return UserError(f"zoo.cache: {part.parent}", f"the disk {problem}", remedy)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
