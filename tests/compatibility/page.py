"""The page of the documentation that says what has been tried."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from compatibility.cases import (
    MECHANISM_CASES,
    MECHANISMS,
    STUDENTS,
    TEACHER_CASES,
    TEACHERS,
    Case,
)

PROJECT = Path(__file__).parents[2]
OUTCOMES = PROJECT / "results" / "compatibility"
PAGE = PROJECT / "docs" / "compatibility.md"

INTRODUCTION = """\
# Which detectors work together

Written by `make compatibility`, which builds every pair below at full size as MMDetection ships
it, with random weights in place of pretrained ones, starts the student by `inherit` and trains two
steps on two generated images of 192×192 on the CPU. "✓" means: both steps went through with finite
losses, the student moved and the teacher did not. A pair that cannot work says so in one line
before any training.
"""


def cell(result: dict[str, Any]) -> str:
    """One outcome in the table."""
    if "refused" in result:
        return "–"
    return f"✓ ({', '.join(str(stride) for stride in result['strides'])})"


def render(results: dict[str, dict[str, Any]]) -> str:
    """The page, from every case's outcome by name."""
    lines = [INTRODUCTION, "## Students and mechanisms\n"]
    lines.append(
        "Each student learns from a larger detector of its family (DDOD and AutoAssign, of"
    )
    lines.append(
        "which only one is shipped, from one of their own size). In brackets: the strides of"
    )
    lines.append("the levels that are paired.\n")
    lines.append(_row("student", *MECHANISMS))
    lines.append(_row(*["---"] * (1 + len(MECHANISMS))))
    for student in STUDENTS:
        names = [Case(student, kind).name for kind in MECHANISMS]
        lines.append(_row(student, *(cell(results[name]) for name in names)))
    lines.append("\nWhat a dash stands for, as the check says it before training:\n")
    for case in MECHANISM_CASES:
        refused = results[case.name].get("refused")
        if refused:
            lines.append(f"- {case.student}, {case.mechanism}: `{refused}`")
    lines.append("\n## Teachers\n")
    lines.append(
        "Feature matching from every teacher to a one-stage and a two-stage student, with the"
    )
    lines.append("strides that are paired, and the peak memory of the whole process in GiB.\n")
    lines.append(_row("teacher", "RetinaNet R50", "GiB", "Mask R-CNN R50", "GiB"))
    lines.append(_row(*["---"] * 5))
    for teacher in TEACHERS:
        found = [
            results[Case(student, "feature_matching", teacher).name]
            for student in ("RetinaNet", "Mask R-CNN")
        ]
        cells = [part for one in found for part in (cell(one), str(one.get("peak_gib", "–")))]
        lines.append(_row(teacher, *cells))
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


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
