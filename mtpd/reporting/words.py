"""Figures as people read them in a terminal."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A length of time in the two units that matter, such as ``3 h 05 min``."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 59.5:
        return f"{round(seconds)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def percent(fraction: float | None) -> str:
    """A fraction as tables have AP, such as ``23.4``; nothing where it is not known."""
    return "" if fraction is None else f"{100 * fraction:.1f}"


def count(number: int, noun: str) -> str:
    """A number with what it counts, such as ``1 job`` or ``3 jobs``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
