"""Every student with every mechanism, and every teacher, at full size: two training steps each.

``make compatibility`` runs it and writes docs/compatibility.md from the outcomes.
"""

from __future__ import annotations

import pytest
from compatibility.cases import MECHANISM_CASES, STUDENTS, TEACHER_CASES, Case
from compatibility.page import OUTCOMES, PAGE
from compatibility.steps import outcome

from mtpd.distillation.heads import ADAPTERS
from mtpd.files import write_json

CASES = [*MECHANISM_CASES, *TEACHER_CASES]
WITHOUT_TOWERS = {"RetinaNet", "RepPoints", "Faster R-CNN", "Mask R-CNN"}


@pytest.mark.compatibility
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_two_steps(case: Case) -> None:
    result = outcome(case)
    if case.mechanism == "pgd" and case.student in WITHOUT_TOWERS:
        assert "pgd cannot read this head" in result["refused"]
        assert "\n" not in result["refused"]
    else:
        assert "refused" not in result, result
    write_json(OUTCOMES / f"{case.name}.json", result)


def test_the_page_has_every_case() -> None:
    text = PAGE.read_text()
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    for case in CASES:
        assert (case.teacher or case.student) in rows
    cells = {student: rows[student].split("|")[2:-1] for student in STUDENTS}
    dashes = {name for name, own in cells.items() if any(c.strip() == "–" for c in own)}
    assert dashes == WITHOUT_TOWERS
    assert len(ADAPTERS) == len(set(STUDENTS) - WITHOUT_TOWERS)
