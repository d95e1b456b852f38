"""SHA-256 of files, remembered by what the file system says of them.

Planning asks for the digests of annotations and weights again and again; COCO's annotations alone
have half a gigabyte. A file that kept its place on the disk, its size and its time of change is not
read again. A file that was only touched is read once more, and has the same digest.
"""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from mtpd.files import digest_of, sha256_of, write_json

SETTLED_SECONDS = 2.0
"""A file changed a moment ago may change again without another time of change."""

UNKNOWN = "unknown"
"""In place of the digest of a user's file that is not there: it counts as unchanged."""

MAX_REMEMBERED = 200_000
"""Entries; when there are more, those that were not asked for are forgotten."""


class Digests:
    """Digests of files, kept in a file between two calls.

    Args:
        memory: JSON file of the digests known so far; None: nothing is remembered.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known: dict[str, str] = _load(memory)
        self._used: dict[str, str] = {}

    def of(self, path: Path) -> str | None:
        """Hexadecimal SHA-256 of the file's bytes; None: there is no such file.

        Raises:
            UserError: The file cannot be read.
        """
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        key = f"{found.st_dev}-{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"
        digest = self._used.get(key) or self._known.get(key)
        if digest is None:
            digest = sha256_of(path)
            if time.time() - found.st_mtime < SETTLED_SECONDS:
                return digest
        self._used[key] = digest
        return digest

    def of_all(self, paths: Iterable[Path]) -> str | None:
        """One digest of several files' bytes, in this order; None: one of them is not there."""
        digests = [self.of(path) for path in paths]
        return None if None in digests else digest_of(digests)

    def save(self) -> None:
        """Remember what was found. A disk that cannot be written to costs time, nothing else."""
        if self._memory is None or self._used.keys() <= self._known.keys():
            return
        every = self._known | self._used
        kept = self._used if len(every) > MAX_REMEMBERED else every
        try:
            write_json(self._memory, kept)
        except OSError:
            return


def _load(memory: Path | None) -> dict[str, str]:
    """What an earlier call has saved; nothing if it cannot be read."""
    try:
        found = {} if memory is None else json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
