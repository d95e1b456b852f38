"""The store: finished results, each kept under the digest of all that it was made from.

A job whose identity is known here takes its results instead of making them again. So a setting that
was changed and changed back, a folder of results deleted by hand, or the same teacher in two
experiments cost a second and no training.

An entry is a folder ``<kind>/<identity>/`` with the files and ``entry.json``, which says what they
are for and has their SHA-256. Where the file system has hard links, a file in the store and in the
results takes its place on the disk once. Both are only ever replaced by rename, never written to; a
file that was changed all the same is found out by its hash.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from mtpd.errors import UserError
from mtpd.files import read_json, sha256_of, write_json

ENTRY = "entry.json"
STATES = "states"
TEACHER_MAPS = "teacher-maps"

TAKEN = "taken from the store"
"""What the log of a job says whose results were made before."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One kept result.

    Attributes:
        kind: Of the results: training, evaluation and so on.
        identity: Digest of all that it was made from.
        experiment: Where it was made first.
        target: Which of the experiment's jobs of that kind, such as a detector's name.
        made: When, in UTC, as ISO 8601 has it.
        files: Path inside the job's folder → SHA-256.
        n_bytes: Of all files.
        settings: What it was made with, for people.
    """

    kind: str
    identity: str
    experiment: str
    target: str
    made: str
    files: dict[str, str]
    n_bytes: int
    settings: dict[str, Any]


class Store:
    """Results by identity.

    Args:
        folder: Of the entries; made when the first is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, kind: str, identity: str) -> Entry | None:
        """The entry of that identity; None: there is none, or it cannot be read."""
        return _read(self._place(kind, identity))

    def take(self, kind: str, identity: str, folder: Path) -> Entry | None:
        """Put the files of an entry into ``folder``, in place of what is there.

        Returns:
            The entry; None: there is none. One whose files were damaged is removed, and said.
        """
        entry = self.find(kind, identity)
        if entry is None:
            return None
        place = self._place(kind, identity)
        for name, sha256 in entry.files.items():
            if not (place / name).is_file() or sha256_of(place / name) != sha256:
                logger.warning("%s is damaged: it is removed from the store", place / name)
                shutil.rmtree(place, ignore_errors=True)
                return None
        for name in entry.files:
            _link(place / name, folder / name)
        return entry

    def put(self, entry: Entry, folder: Path) -> bool:
        """Keep the entry's files, which lie in ``folder``; gives whether they are kept.

        An entry that is there already stays, unless it cannot be read. A disk that is full or
        cannot be written to is no reason to lose the result: it is said, and nothing is kept.
        """
        place = self._place(entry.kind, entry.identity)
        if self.find(entry.kind, entry.identity) is not None:
            return True
        try:
            if place.exists():
                shutil.rmtree(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=".new.") as name:
                new = Path(name) / "entry"
                new.mkdir()
                for file in entry.files:
                    _link(folder / file, new / file)
                write_json(new / ENTRY, asdict(entry))
                new.rename(place)
        except OSError as error:
            logger.warning("the result is not kept in %s (%s)", self.folder, error.strerror)
            return False
        return True

    def states(self, identity: str) -> Path:
        """Folder of the states of a training that is under way, or was interrupted."""
        return self.folder / STATES / identity

    def interrupted(self) -> dict[str, int]:
        """Identity → bytes of the states, of trainings that are under way or were interrupted."""
        found = sorted((self.folder / STATES).glob("*/*.pth"))
        sizes: dict[str, int] = {}
        for path in found:
            sizes[path.parent.name] = sizes.get(path.parent.name, 0) + path.stat().st_size
        return sizes

    def maps_bytes(self) -> int:
        """Bytes of the teachers' maps."""
        return sum(path.stat().st_size for path in self.teacher_maps.glob("*/*.npy"))

    def forget_maps(self) -> None:
        """Remove all teachers' maps; trainings that use them keep their open files."""
        shutil.rmtree(self.teacher_maps, ignore_errors=True)

    def forget_states(self, identity: str) -> None:
        """Remove the states of a training; it begins anew if it is asked for again."""
        shutil.rmtree(self.states(identity), ignore_errors=True)

    @property
    def teacher_maps(self) -> Path:
        """Folder of teachers' maps; each folder in it is the maps of one."""
        return self.folder / TEACHER_MAPS

    @property
    def failures(self) -> Path:
        """Folder of notes on jobs that failed and would fail again."""
        return self.folder / "failures"

    def lock(self, identity: str) -> Path:
        """Lock file of the one process that makes the results of this identity."""
        return self.folder / "locks" / f"{identity}.lock"

    def entries(self) -> Iterator[Entry]:
        """All entries that can be read, in the order of their kinds and identities."""
        for place in sorted(self.folder.glob(f"*/*/{ENTRY}")):
            entry = _read(place.parent)
            if entry is not None:
                yield entry

    def remove(self, entry: Entry) -> None:
        """Forget an entry. Results that were made from it keep their files."""
        shutil.rmtree(self._place(entry.kind, entry.identity))

    def _place(self, kind: str, identity: str) -> Path:
        return self.folder / kind / identity


def was_taken(log: Path | None) -> bool:
    """Whether the job of this log took its results from the store."""
    try:
        return log is not None and TAKEN in log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def new_entry(
    kind: str,
    identity: str,
    experiment: str,
    target: str,
    files: Mapping[str, Path],
    settings: Mapping[str, Any],
) -> Entry:
    """An entry for ``files``: path inside the job's folder → where the file lies now."""
    return Entry(
        kind=kind,
        identity=identity,
        experiment=experiment,
        target=target,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        files={name: sha256_of(path) for name, path in files.items()},
        n_bytes=sum(path.stat().st_size for path in files.values()),
        settings=dict(settings),
    )


def _read(place: Path) -> Entry | None:
    """The entry in a folder of the store; what is none, or names files elsewhere, is not there."""
    try:
        entry = Entry(**read_json(place / ENTRY))
    except (UserError, TypeError):
        return None
    named = (entry.kind, entry.identity) == (place.parent.name, place.name)
    if not named or not isinstance(entry.files, dict):
        return None
    paths = [PurePosixPath(str(name)) for name in entry.files]
    return None if any(path.is_absolute() or ".." in path.parts for path in paths) else entry


def _link(source: Path, target: Path) -> None:
    """Let ``target`` be the same file as ``source``, or a copy; what was there is replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".link.") as folder:
        temporary = Path(folder) / target.name
        try:
            os.link(source, temporary)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, temporary)
        temporary.replace(target)
