"""Names that look the same and are not: other spaces, other letters of the same look."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path


class Names:
    """Names among which one is looked for that looks like another.

    Args:
        names: Of what there is.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_look = {_look(name): name for name in names}

    def instead(self, name: str) -> str:
        """What to add to "does not exist": the name that looks the same, if there is one.

        Names the first characters that differ, as they may look alike or like nothing at all.
        """
        found = self._by_look.get(_look(name))
        return "" if found is None else f"; there is '{found}', {difference(name, found)}"


def there_instead(path: Path) -> str:
    """What to add to "does not exist": the file beside it whose name looks the same, if any."""
    try:
        return _names_in(path.parent, path.parent.stat().st_mtime_ns).instead(path.name)
    except OSError:
        return ""


@lru_cache(maxsize=16)
def _names_in(folder: Path, _changed: int) -> Names:
    """Names in a folder, listed once for all images that are missing there."""
    return Names(sorted((file.name for file in folder.iterdir()), reverse=True))


def alike(name: str, names: Iterable[str]) -> str:
    """As :func:`there_instead`, of the names that there are."""
    return Names(names).instead(name)


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
