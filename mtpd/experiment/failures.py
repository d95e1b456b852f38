"""Failures that would be the same again: they are told at once, not found out once more.

A scheduler tries a failed job again, which helps after a lost node and not with a wrong input. So
what a job has failed by is noted under its identity and what else may matter. A training that
diverged does so until something of that changes. Other failures may lie in the surroundings, such
as a missing library: they hold for the retries of one run of the workflow. What is wrong with the
machine is not noted: the next attempt may get another.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from mtpd.errors import DivergedError, MachineError, UserError
from mtpd.files import read_json, write_json
from mtpd.settings.runtime import RUN


class Failures:
    """Notes of failures, by a digest of all that may have led to them.

    Args:
        folder: Of the notes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self, key: str) -> None:
        """Fail as before, if that is known.

        Raises:
            UserError: The failure that is noted.
        """
        path = self._path(key)
        if not path.exists():
            return
        note = read_json(path, "delete it")
        kind = DivergedError if note["diverged"] else UserError
        if kind is UserError and note["run"] != os.environ.get(RUN, ""):
            return
        problem = f"{note['problem']} (as at {note['when']}; delete {path} to try once more)"
        raise kind(note["where"], problem, note["remedy"])

    def note(self, key: str, error: UserError) -> None:
        """Note that it failed, where it would fail again."""
        diverged, run = isinstance(error, DivergedError), os.environ.get(RUN, "")
        if isinstance(error, MachineError) or not (diverged or run):
            return
        write_json(
            self._path(key),
            {
                "where": error.where,
                "problem": error.problem,
                "remedy": error.remedy,
                "diverged": diverged,
                "run": run,
                "when": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )

    def forget(self, key: str) -> None:
        """Take a note away, if there is one."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"
