"""Running the workflow from Python: Snakemake in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtpd.errors import UserError
from mtpd.experiment.load import open_experiment
from mtpd.installation import LIBRARY, PROFILES, SNAKEFILE
from mtpd.overview.status import Failure, collect_status

LAST_LINES = 3
"""Of Snakemake's output, in an error that nothing else explains."""


@dataclass(frozen=True)
class Call:
    """What to make of an experiment, and how.

    Attributes:
        experiment: Its YAML file.
        results: Folder of all results; None: as ``config/config.yaml`` says.
        cores: That jobs may use together; None: as the profile says, or else all.
        targets: Files or rules; empty: all of the experiment.
        profile: Name or folder of a Snakemake profile, such as ``slurm``.
        dry_run: Only show what would run.
        options: More of Snakemake's options, as on its command line.
    """

    experiment: Path
    results: Path | None = None
    cores: int | None = None
    targets: Sequence[str | Path] = ()
    profile: str | Path | None = None
    dry_run: bool = False
    options: Sequence[str] = ()

    def command(self) -> list[str]:
        """The command line."""
        given = {"experiments": [self.experiment.stem], "folder": str(self.experiment.parent)}
        if self.results is not None:
            given["results"] = str(self.results)
        command = [sys.executable, "-m", "snakemake", *map(str, self.targets)]
        command += ["--snakefile", str(SNAKEFILE)]
        if self.profile is not None:
            command += ["--profile", _profile(self.profile)]
        if self.cores is not None or self.profile is None:
            command += ["--cores", "all" if self.cores is None else str(self.cores)]
        # As JSON, which is YAML: a name such as 2024 stays a text.
        command += ["--config", *(f"{key}={json.dumps(value)}" for key, value in given.items())]
        return command + ["--dry-run"] * self.dry_run + list(self.options)


def run_workflow(call: Call, show: bool = True) -> None:
    """Run Snakemake in the working folder and wait for it.

    Args:
        call: What to run.
        show: Whether its output is shown.

    Raises:
        UserError: It has failed; the error names the jobs and their logs.
    """
    if call.cores is not None and call.cores < 1:
        raise UserError("cores", f"is {call.cores}", "give 1 or more, or None for all")
    if not SNAKEFILE.is_file():
        raise UserError(SNAKEFILE, "is not there", "install mtpd again, as the README says")
    # Snakemake and its jobs use this library, whichever folder they work in.
    paths = [str(LIBRARY.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    status, last = _wait(call.command(), environment, show)
    if status:
        raise _failure(call, status, last)


def _wait(command: list[str], environment: dict[str, str], show: bool) -> tuple[int, list[str]]:
    """Exit status of Snakemake, and the last lines of its output as far as they came by here."""
    # On a terminal it writes by itself and knows that it is one. A notebook's output is no file.
    if show and sys.stdout is sys.__stdout__ and sys.stderr is sys.__stderr__:
        shown = subprocess.Popen(command, env=environment)
        with _interruptible(shown):
            return shown.wait(), []
    job = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    last: deque[str] = deque(maxlen=LAST_LINES)
    with _interruptible(job):
        for line in job.stdout or ():
            if line.strip():
                last.append(line.strip())
            if show:
                sys.stdout.write(line)
                sys.stdout.flush()
        return job.wait(), list(last)


@contextmanager
def _interruptible(job: subprocess.Popen[Any]) -> Iterator[None]:
    """Wait for Snakemake after Ctrl-C as well.

    The signal has reached it too: its jobs save their states, and it unlocks the folder.
    """
    try:
        yield
    except KeyboardInterrupt:
        if job.stdout is not None:
            job.communicate()
        job.wait()
        raise


def _profile(given: str | Path) -> str:
    """A profile of the working folder, or else one of those that come with the workflow."""
    shipped = PROFILES / given
    is_here = Path(given).exists() or not shipped.is_dir()
    return str(given if is_here else shipped)


def _failure(call: Call, status: int, last: Sequence[str]) -> UserError:
    """What to say of a run that has failed."""
    said = [line.removeprefix("error: ") for line in last if line.startswith("error: ")]
    failures = [] if said or call.dry_run else _failures(call)
    if failures:
        found = "; ".join(f"{failure.line} ({failure.log})" for failure in failures)
        problem, remedy = f"jobs have failed: {found}", "mend that, and run it again"
    else:
        found = said[-1] if said else " ".join(last)
        problem = f"has ended with status {status}" + (f" ({found})" if found else "")
        remedy = "see what it has printed, and run it again"
    return UserError(f"snakemake: {call.experiment.stem}", problem, remedy)


def _failures(call: Call) -> list[Failure]:
    """Jobs of the experiment that have failed."""
    found = collect_status(*open_experiment(call.experiment, call.results))
    return [*found.failures, *(one for model in found.models() for one in model.failures)]
