"""Names that look the same and are not: other spaces, other letters of the same look."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path


def there_instead(path: Path) -> str:
    """What to add to "does not exist": the file beside it whose name looks the same, if any.

    Names the first characters that differ, as they may look alike or like nothing at all.
    """
    try:
        names = sorted(file.name for file in path.parent.iterdir())
    except OSError:
        return ""
    return alike(path.name, names)


def alike(name: str, names: Iterable[str]) -> str:
    """As :func:`there_instead`, of the names that there are."""
    found = next((other for other in names if _look(other) == _look(name)), None)
    return "" if found is None else f"; there is '{found}', {difference(name, found)}"


def difference(written: str, there: str) -> str:
    """Where two names that look alike differ, in words; each character by its Unicode name."""
    shared = sum(1 for _ in _common(written, there))
    here, other = (_named(name[shared : shared + 1]) for name in (written, there))
    return f"which has {other} as character {shared + 1}, where {here} is written"


def _common(first: str, second: str) -> list[str]:
    found = []
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        found.append(a)
    return found


def _look(name: str) -> str:
    """What names have in common that a person cannot tell apart, or may confuse."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _named(character: str) -> str:
    if not character:
        return "nothing"
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'without a name')})"
