"""Lines of what is measured now and then."""

from __future__ import annotations

from math import nan

from mtpd.reporting.figures import measured


def test_points_without_a_value_are_passed_over() -> None:
    assert measured(range(1, 5), [nan, 2.0, nan, 4.0]) == ([2, 4], [2.0, 4.0])
    assert measured([], []) == ([], [])
