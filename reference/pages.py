"""Which pages there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reference.commands import commands_page
from reference.errors import errors_page
from reference.settings import settings_page

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / "docs" / "reference"

PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "errors.md": lambda: errors_page(PROJECT),
}
