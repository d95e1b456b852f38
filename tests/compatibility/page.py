"""The page of the documentation that says what has been tried."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from compatibility.cases import (
    MECHANISM_CASES,
    MECHANISMS,
    STUDENTS,
    TAUGHT_BY_ALL,
    TEACHER_CASES,
    TEACHERS,
    Case,
)

PROJECT = Path(__file__).parents[2]
OUTCOMES = PROJECT / "results" / "compatibility"
PAGE = PROJECT / "docs" / "compatibility.md"

TEMPLATE = """\
# Which detectors work together

Written by `make compatibility`, which builds every pair below at full size as MMDetection ships
it, with random weights in place of pretrained ones, starts the student by `inherit` and trains two
steps on two generated images of 192×192 (DINO: 256×256) on the CPU. "✓" means: both steps went
through with finite losses, the student moved and the teacher did not. Beside it stand the strides
that are paired, the finest and the coarsest. A pair that cannot work says so in one line before any
training. No process took more than {peak} GiB.

## Students and mechanisms

Each student learns from a larger detector of its family (DDOD, AutoAssign and DINO, of which only
one is shipped, from one of their own size).

{mechanisms}

What a dash stands for, as the check says it before training:

{refusals}

## Teachers

Feature matching from every teacher to a one-stage and a two-stage student.

{teachers}
"""


def cell(result: dict[str, Any]) -> str:
    """One outcome in the table."""
    if "refused" in result:
        return "–"
    strides = result["strides"]
    assert strides == [strides[0] * 2**level for level in range(len(strides))], "a gap in between"
    return f"✓ {strides[0]}–{strides[-1]}"


def render(results: dict[str, dict[str, Any]]) -> str:
    """The page, from every case's outcome by name."""
    students = [
        [student, *(cell(results[Case(student, kind).name]) for kind in MECHANISMS)]
        for student in STUDENTS
    ]
    teachers = [
        [teacher]
        + [
            cell(results[Case(student, "feature_matching", teacher).name])
            for student in TAUGHT_BY_ALL
        ]
        for teacher in TEACHERS
    ]
    refused = [
        f"- {case.student}, {case.mechanism}: `{results[case.name]['refused']}`"
        for case in MECHANISM_CASES
        if "refused" in results[case.name]
    ]
    return TEMPLATE.format(
        peak=max(result.get("peak_gib", 0.0) for result in results.values()),
        mechanisms=_table(["student", *MECHANISMS], students),
        refusals="\n".join(refused),
        teachers=_table(["teacher", *(f"{name} R50" for name in TAUGHT_BY_ALL)], teachers),
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    return pd.DataFrame(rows, columns=head).to_markdown(index=False)


def main() -> None:
    """Write the page from the outcomes of a complete run of the tests.

    Raises:
        SystemExit: A case has no outcome.
    """
    results = {}
    for case in [*MECHANISM_CASES, *TEACHER_CASES]:
        path = OUTCOMES / f"{case.name}.json"
        if not path.is_file():
            sys.exit(f"{case.name} has no outcome; run all of `make compatibility`")
        results[case.name] = json.loads(path.read_text())
    PAGE.write_text(render(results))


if __name__ == "__main__":
    main()
