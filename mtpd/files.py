"""Files that appear whole or not at all, and reading what may be wrong."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtpd.errors import UserError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, which is flushed and renamed to it on success.

    If the body raises, the temporary file is removed and ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix
    )
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it takes the place of ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_with_empty_folders(path: Path) -> None:
    """Remove a file, and the folders around it as far as they are empty then."""
    path.unlink(missing_ok=True)
    for folder in path.parents:
        try:
            folder.rmdir()
        except OSError:
            return


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON; NaN and infinity are refused, as JSON has neither."""
    with whole_file(path) as temporary:
        temporary.write_text(
            json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        )


def read_text(path: Path, remedy: str) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        UserError: The file is missing, unreadable or in another encoding, which is named if it says
            so itself.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", remedy) from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(path, "is UTF-16 text", "save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"is not UTF-8 text (byte 0x{content[error.start]:02x} in line {line})"
        raise UserError(path, problem, "save it as UTF-8") from error


def read_json(path: Path, remedy: str = "give a readable JSON file") -> Any:
    """Parse the JSON file ``path``.

    Raises:
        UserError: The file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(read_text(path, remedy))
    except json.JSONDecodeError as error:
        problem = f"is not JSON ({error.msg}, line {error.lineno} column {error.colno})"
        raise UserError(path, problem, remedy) from error


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise UserError(path, problem, "run the step that makes it first") from error


def digest_of(value: Any) -> str:
    """Short hexadecimal digest of a JSON-like value, the same for equal values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def in_full(path: Path) -> str:
    """Where a relative path leads to from the working folder, in brackets; nothing for others."""
    return "" if path.is_absolute() else f" ({path.absolute()})"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
