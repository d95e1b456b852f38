from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mtpd.store import Store, new_entry


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A job's folder with two results."""
    folder = tmp_path / "made"
    (folder / "detections").mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    (folder / "detections" / "val.json").write_text("[]")
    return folder


def kept(store: Store, made: Path, identity: str = "1234") -> None:
    names = ("metrics.json", "detections/val.json")
    files = {name: made / name for name in names}
    store.put(new_entry("evaluation", identity, "demo", "student", files, {"seed": 0}), made)


def test_what_was_put_is_taken(tmp_path: Path, made: Path) -> None:
    store = Store(tmp_path / "store")
    kept(store, made)
    there = tmp_path / "there"
    entry = store.take("evaluation", "1234", there)
    assert entry is not None
    assert (entry.experiment, entry.target, entry.n_bytes) == ("demo", "student", 4)
    assert (there / "metrics.json").read_text() == "{}"
    assert (there / "detections" / "val.json").read_text() == "[]"
    assert store.take("evaluation", "5678", there) is None
    assert store.take("training", "1234", there) is None


def test_files_take_their_place_once(tmp_path: Path, made: Path) -> None:
    store = Store(tmp_path / "store")
    kept(store, made)
    store.take("evaluation", "1234", tmp_path / "there")
    assert (made / "metrics.json").stat().st_nlink == 3


def test_without_hard_links_it_copies(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    store = Store(tmp_path / "store")
    kept(store, made)
    assert store.take("evaluation", "1234", tmp_path / "there") is not None
    assert (tmp_path / "there" / "metrics.json").stat().st_nlink == 1


def test_deleted_results_stay_in_the_store(tmp_path: Path, made: Path) -> None:
    store = Store(tmp_path / "store")
    kept(store, made)
    (made / "metrics.json").unlink()
    assert store.take("evaluation", "1234", made) is not None
    assert (made / "metrics.json").is_file()


def test_a_damaged_entry_is_said_and_removed(
    tmp_path: Path, made: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "store")
    kept(store, made)
    (made / "metrics.json").write_text("[1]")  # in place, as no job of ours does
    there = tmp_path / "there"
    assert store.take("evaluation", "1234", there) is None
    assert "metrics.json is damaged" in caplog.text
    assert not there.exists()
    assert store.find("evaluation", "1234") is None


def test_the_first_of_two_stays(tmp_path: Path, made: Path) -> None:
    store = Store(tmp_path / "store")
    kept(store, made)
    (made / "metrics.json").unlink()
    (made / "metrics.json").write_text("[]")
    kept(store, made)
    store.take("evaluation", "1234", tmp_path / "there")
    assert (tmp_path / "there" / "metrics.json").read_text() == "{}"
    assert [entry.identity for entry in store.entries()] == ["1234"]


def test_a_store_that_cannot_be_written_loses_no_result(
    tmp_path: Path, made: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "store").write_text("a file")
    kept(Store(tmp_path / "store"), made)
    assert "not kept" in caplog.text
    assert (made / "metrics.json").is_file()


def test_entries_are_listed_and_removed(tmp_path: Path, made: Path) -> None:
    store = Store(tmp_path / "store")
    for identity in ("b", "a"):
        kept(store, made, identity)
    first, second = store.entries()
    assert (first.identity, second.identity) == ("a", "b")
    store.remove(first)
    assert [entry.identity for entry in store.entries()] == ["b"]
    (store.folder / "evaluation" / "b" / "entry.json").write_text("{}")
    assert list(store.entries()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../outside": "0"}},
        {"files": {"/outside": "0"}},
        {"files": ["metrics.json"]},
        {"kind": "..", "identity": "made"},
        {"added": "by a later version"},
    ],
)
def test_an_entry_that_is_none_is_not_there_and_is_replaced(
    tmp_path: Path, made: Path, change: dict[str, object]
) -> None:
    store = Store(tmp_path / "store")
    kept(store, made)
    path = store.folder / "evaluation" / "1234" / "entry.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert store.take("evaluation", "1234", tmp_path / "there") is None
    assert list(store.entries()) == []
    assert not (tmp_path / "outside").exists()
    kept(store, made)
    assert store.take("evaluation", "1234", tmp_path / "there") is not None
