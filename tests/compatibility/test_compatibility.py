"""Every student with every mechanism, and every teacher, at full size: two training steps each.

``make compatibility`` runs it and writes docs/compatibility.md from the outcomes.
"""

from __future__ import annotations

import pytest
from compatibility.cases import MECHANISM_CASES, MECHANISMS, STUDENTS, TEACHER_CASES, Case
from compatibility.page import OUTCOMES, PAGE
from compatibility.steps import outcome

from mtpd.files import write_json

CASES = [*MECHANISM_CASES, *TEACHER_CASES]


@pytest.mark.compatibility
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_two_steps(case: Case) -> None:
    result = outcome(case)
    if case.works:
        assert "refused" not in result, result
    else:
        assert f" {case.mechanism} " in result["refused"]
        assert "\n" not in result["refused"]
    write_json(OUTCOMES / f"{case.name}.json", result)


def test_the_page_has_every_case() -> None:
    text = PAGE.read_text()
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    for case in CASES:
        assert (case.teacher or case.student) in rows
    for student in STUDENTS:
        cells = [cell.strip() for cell in rows[student].split("|")[2:-1]]
        able = [cell != "–" for cell in cells]
        assert able == [Case(student, mechanism).works for mechanism in MECHANISMS]
