"""Which of Snakemake's own messages a person needs to see, and the words for what happens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from logging import ERROR, WARNING, LogRecord

from mtpd.display.job import Job
from mtpd.display.run import Failed, Run
from mtpd.overview.progress import EpochDone, Progress
from mtpd.reporting.words import count, duration, percent
from mtpd.store import TAKEN, was_taken

NEEDED = (
    "Nothing to be done",
    "Terminating processes on user request",
    "Will exit after finishing currently running jobs",
    "Trying to restart job",
)
"""How those of Snakemake's messages begin that a person needs to see while jobs run."""

NOT_NEEDED = (
    "Assuming unrestricted shared filesystem usage",
    "Building DAG of jobs",
    "Config file ",
)
"""How those begin that nobody needs to see at any time."""

LOG = "Complete log(s): "
"""Before the path of Snakemake's own log."""

REPEATED = ("returned non-zero exit status", "At least one job did not complete", "Exiting because")
"""What stands in those messages by which Snakemake says once more that a job has failed."""

SUBMITTED = re.compile(r"Job (\d+) has been submitted with SLURM jobid (\S+) ")
"""How the Slurm plugin says which number Slurm has given to a job."""

AGAIN = "what is finished is kept, and the same command goes on from here"


def text_of(record: LogRecord, *, executing: bool) -> str | None:
    """What is to be seen of a record that is about no job; None: it is only for the log.

    Args:
        record: Of Snakemake.
        executing: Whether jobs run; other calls, such as ``--unlock``, say what they do.
    """
    text = str(record.msg or "").strip()
    if not text or record.levelno < 20:  # the levels below INFO
        return None
    if record.levelno >= ERROR:
        is_told = executing and any(words in text for words in REPEATED)
        return None if is_told else text
    if record.levelno >= WARNING or not executing:
        is_shown = not executing and not text.startswith(NOT_NEEDED)
        return text if is_shown else None
    return text if text.startswith(NEEDED) else None


def epoch_line(name: str, done: EpochDone, epochs: int | None, left: float | None) -> str:
    """An epoch of a training in one line."""
    of_all = f"/{epochs}" if epochs else ""
    parts = [f"{name}: epoch {done.epoch}{of_all}"]
    if done.loss is not None:
        parts.append(f"loss {done.loss:.4g}")
    if done.ap is not None:
        parts.append(f"AP {percent(done.ap)}")
    if done.images_per_second is not None:
        parts.append(f"{max(0.0, done.images_per_second):.3g} images/s")
    if left is not None and left > 0:
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


def left_of(progress: Progress) -> float | None:
    """Seconds that a training still takes, where that is worth saying."""
    return progress.seconds_left if progress.state != "saved" else None


def finish_line(job: Job, run: Run) -> str:
    """A job that has ended well in one line, with how many have, and what is left."""
    how = TAKEN if was_taken(job.log) else f"in {duration(job.took)}"
    line = f"{run.done} of {run.total} done: {job}"
    if job.log is not None:
        line += f", {how}"
    left = left_in_all(run)
    return f"{line}; {left}" if left else line


def left_in_all(run: Run) -> str:
    """How much time is left of the run, in words; nothing where nobody knows."""
    seconds = run.seconds_left()
    if not seconds:
        return ""
    return f"{'at most' if run.is_bound else 'about'} {duration(seconds)} left"


def failure_lines(failed: Failed) -> Iterator[str]:
    """What has failed, why, where more stands, and what to do."""
    how = "interrupted" if failed.is_interrupted else "failed"
    yield f"{how}: {failed.job} (after {duration(failed.job.took)})"
    if failed.line is not None:
        yield f"  {failed.line}"
    elif failed.last is not None:
        yield f"  its log ends with: {failed.last}"
    if failed.job.log is not None:
        yield f"  log: {failed.job.log}"
    yield from (f"  {more}" for more in failed.more)
    yield f"  then: {'mend that' if failed.line is not None else 'see to it'}; {AGAIN}"


def closing_lines(run: Run, took: float, warnings: int, log: str) -> Iterator[str]:
    """How a run has ended; ``log`` is Snakemake's own."""
    ended = [failed for failed in run.failures.values() if failed.is_interrupted]
    failed = [one for one in run.failures.values() if not one.is_interrupted]
    for how, jobs in (("failed", failed), ("interrupted", ended)):
        if jobs:
            yield f"{count(len(jobs), 'job')} {how}: {', '.join(str(one.job) for one in jobs)}"
    if run.failures or run.done < run.total:
        waiting = run.total - run.done - len(run.failures)
        yield (
            f"stopped after {duration(took)}: {run.done} of {count(run.total, 'job')} done, "
            f"{waiting} not started; {AGAIN}"
        )
    elif run.total:
        yield f"all {count(run.total, 'job')} done in {duration(took)}"
    if log:
        more = f" ({count(warnings, 'warning')})" if warnings else ""
        yield f"Snakemake's own log{more}: {log}"


def rules_line(stats: Mapping[str, int]) -> str:
    """How many jobs there are, by rule."""
    rules = {rule: number for rule, number in stats.items() if rule != "total"}
    return ", ".join(f"{number} {rule}" for rule, number in rules.items())
