"""The jobs of Snakemake's plan, as far as their price depends on them.

Snakemake alone says which jobs there are. A dry run reads them from its graph; where the variable
:data:`PLAN` names a file, it writes them there for another process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtpd.experiment.recipes import Task
from mtpd.files import read_json, write_json

PLAN = "MTPD_PLAN"
"""Environment variable: the file that a dry run writes its jobs to, and then prints no estimate."""

WILDCARDS = ("method", "detector", "chain", "file", "item")
"""Of all rules, beside the experiment's name, in the order of a task's names."""


@dataclass(frozen=True)
class PlannedJob:
    """One job of a plan.

    Attributes:
        task: Its rule and the values of its wildcards.
        experiment: That it belongs to; empty: to no single one.
        product: The first file that it makes.
        after: Places in the plan of the jobs whose results it needs.
        is_left: Whether it will run.
        is_kept: Whether it will take its results from the store.
    """

    task: Task
    experiment: str
    product: Path
    after: tuple[int, ...] = ()
    is_left: bool = True
    is_kept: bool = False


def planned_jobs(dag: Any, is_kept: Callable[[str, Task], bool]) -> list[PlannedJob]:
    """The jobs of Snakemake's graph, those that are done included.

    Args:
        dag: Snakemake's graph, once it is complete. What only names targets is left out.
        is_kept: Whether a job of an experiment will take its results from the store.
    """
    jobs = [job for job in dag.jobs if not job.is_norun]
    numbers = {job: number for number, job in enumerate(jobs)}
    plan = []
    for job in jobs:
        wildcards = job.wildcards_dict
        names = tuple(wildcards[key] for key in WILDCARDS if key in wildcards)
        task, experiment = Task(job.rule.name, names), wildcards.get("experiment", "")
        after = tuple(sorted(numbers[other] for other in dag.dependencies[job]))
        is_left = dag.needrun(job)
        kept = is_left and experiment != "" and is_kept(experiment, task)
        plan.append(PlannedJob(task, experiment, Path(job.output[0]), after, is_left, kept))
    return plan


def write_plan(path: Path, jobs: Sequence[PlannedJob]) -> None:
    """Write jobs as JSON."""
    rows = [
        [job.task, job.experiment, str(job.product), job.after, job.is_left, job.is_kept]
        for job in jobs
    ]
    write_json(path, rows)


def read_plan(path: Path) -> list[PlannedJob]:
    """Read what :func:`write_plan` has written.

    Raises:
        UserError: The file is not there.
    """
    return [
        PlannedJob(
            Task(rule, tuple(names)), experiment, Path(product), tuple(after), is_left, is_kept
        )
        for (rule, names), experiment, product, after, is_left, is_kept in read_json(path)
    ]
