"""Snakemake's records, as it makes them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent


def record(
    event: LogEvent | None = None, text: str = "", level: int = logging.INFO, **told: Any
) -> logging.LogRecord:
    made = logging.LogRecord("snakemake.logging", level, "file.py", 1, text, None, None)
    vars(made).update(told, **({} if event is None else {"event": event}))
    return made


def begun(**counts: int) -> list[logging.LogRecord]:
    """What comes before the first job."""
    return [
        record(text="Assuming unrestricted shared filesystem usage."),
        record(LogEvent.WORKFLOW_STARTED, "Workflow has started!"),
        record(text="Using shell: /usr/bin/bash"),
        record(LogEvent.RESOURCES_INFO, "Provided cores: 2", cores=2),
        record(text="the wall of warnings", level=logging.WARNING),
        record(LogEvent.RUN_INFO, "Job stats:", stats={**counts, "total": sum(counts.values())}),
        record(text="Select jobs to execute..."),
    ]


def started(number: int, rule: str, folder: Path | None = None, **wildcards: str) -> Any:
    output = [] if folder is None else [str(folder / "model.pth")]
    log = [] if folder is None else [str(folder / f"{rule}.log")]
    return record(
        LogEvent.JOB_INFO,
        jobid=number,
        rule_name=rule,
        wildcards={"experiment": "micro", **wildcards} if folder is not None else {},
        output=output,
        log=log,
    )


def finished(number: int, done: int, total: int) -> list[logging.LogRecord]:
    return [
        record(LogEvent.JOB_FINISHED, job_id=number),
        record(LogEvent.PROGRESS, done=done, total=total),
    ]


def failed(number: int, *logs: str, **aux: str) -> logging.LogRecord:
    return record(LogEvent.JOB_ERROR, level=logging.ERROR, jobid=number, log=[*logs], aux=aux)
