from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from mtpd import digests
from mtpd.digests import Digests


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were read, in order."""
    read: list[Path] = []
    real = digests.sha256_of

    def count(path: Path) -> str:
        read.append(path)
        return real(path)

    monkeypatch.setattr(digests, "sha256_of", count)
    return read


def old(path: Path, text: str) -> Path:
    """A file that was written an hour ago."""
    path.write_text(text)
    then = path.stat().st_mtime - 3600
    os.utime(path, (then, then))
    return path


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = old(tmp_path / "a", "words")
    assert Digests().of(path) == hashlib.sha256(b"words").hexdigest()
    assert Digests().of(tmp_path / "none") is None


def test_a_file_is_read_once_also_by_the_next_call(tmp_path: Path, counted: list[Path]) -> None:
    path, memory = old(tmp_path / "a", "words"), tmp_path / "memory.json"
    first = Digests(memory)
    assert first.of(path) == first.of(path)
    first.save()
    moved = path.rename(tmp_path / "b")
    assert Digests(memory).of(moved) == first.of(moved)
    assert counted == [path]


def test_touched_is_the_same_and_changed_is_another(tmp_path: Path, counted: list[Path]) -> None:
    path, memory = old(tmp_path / "a", "words"), tmp_path / "memory.json"
    first = Digests(memory)
    before = first.of(path)
    first.save()
    os.utime(path, (1, 1))
    assert Digests(memory).of(path) == before
    old(path, "sword")  # of the same length
    assert Digests(memory).of(path) != before
    assert len(counted) == 3


def test_what_was_just_written_is_read_again(tmp_path: Path, counted: list[Path]) -> None:
    path = tmp_path / "a"
    path.write_text("words")
    known = Digests()
    known.of(path)
    known.of(path)
    assert len(counted) == 2


def test_a_damaged_memory_costs_time_only(tmp_path: Path) -> None:
    memory, path = tmp_path / "memory.json", old(tmp_path / "a", "words")
    memory.write_text("{")
    known = Digests(memory)
    assert known.of(path)
    known.save()
    assert Digests(memory).of(path) == known.of(path)


def test_several_files_have_one_digest_that_knows_their_order(tmp_path: Path) -> None:
    a, b = old(tmp_path / "a", "one"), old(tmp_path / "b", "two")
    known = Digests()
    assert known.of_all([a, b]) != known.of_all([b, a])
    assert known.of_all([a, tmp_path / "none"]) is None
