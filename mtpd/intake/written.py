"""Settings as commented YAML: every value on a line, with its reason behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

WIDTH = 100
"""Columns; a reason that does not fit behind its value stands above it."""


def commented_yaml(settings: Mapping[str, Any], reasons: Mapping[str, str], head: str = "") -> str:
    """YAML that people read.

    Args:
        settings: What is written, in this order. Mappings and lists of mappings get a line for
            each of their values, everything else is written on one.
        reasons: Comments by dotted key.
        head: Comment at the top, any number of lines.
    """
    lines = [f"# {line}".rstrip() for line in head.splitlines()]
    for key, value in settings.items():
        if lines and (isinstance(value, Mapping) or key == next(iter(settings))):
            lines.append("")
        lines += _entry(key, value, key, reasons, "")
    return "\n".join(lines) + "\n"


def _entry(
    key: str, value: Any, dotted: str, reasons: Mapping[str, str], indent: str
) -> Iterator[str]:
    reason = reasons.get(dotted)
    start = f"{indent}{_inline(key)}:"
    is_short = len(f"{start} {_inline(value)}") <= WIDTH and _is_short(value, dotted, reasons)
    if isinstance(value, Mapping) and value and not is_short:
        if reason:
            yield f"{indent}# {reason}"
        yield start
        for name, part in value.items():
            yield from _entry(name, part, f"{dotted}.{name}", reasons, f"{indent}  ")
        return
    if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        if reason:
            yield f"{indent}# {reason}"
        yield start
        yield from (f"{indent}  - {_inline(item)}" for item in value)
        return
    yield from _commented(f"{start} {_inline(value)}", reason, indent)


def _is_short(value: Any, dotted: str, reasons: Mapping[str, str]) -> bool:
    """Whether a mapping is written on one line: it is inside another, and has no reasons in it."""
    if not isinstance(value, Mapping) or "." not in dotted:
        return False
    if any(isinstance(part, Mapping | list) for part in value.values()):
        return False
    return len(value) > 1 and not any(name.startswith(f"{dotted}.") for name in reasons)


def _commented(line: str, reason: str | None, indent: str) -> Iterator[str]:
    if reason and len(f"{line}  # {reason}") > WIDTH:
        yield f"{indent}# {reason}"
        yield line
    else:
        yield f"{line}  # {reason}" if reason else line


def _inline(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump(
        _plain(value), default_flow_style=True, sort_keys=False, width=10**9, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
