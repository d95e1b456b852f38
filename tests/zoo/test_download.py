"""One file from a host that may fail: it arrives whole and verified, or one line says why not."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import logging
import os
import shutil
import socket
import threading
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from host import Host, serving

from mtpd.errors import UserError
from mtpd.settings.runtime import Zoo
from mtpd.zoo import download
from mtpd.zoo.download import ATTEMPTS, fetch
from mtpd.zoo.sources import Remote

CONTENT = os.urandom(700_001)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = f"detector-{SHA256[:8]}.pth"


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as host:
        host.files[f"v2.0/{NAME}"] = CONTENT
        yield host


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    return Zoo(cache=tmp_path / "cache")


def remote(host: Host) -> Remote:
    return Remote(host.url(f"v2.0/{NAME}"), SHA256[:8])


def cache_holds_only_the_file(zoo: Zoo) -> bool:
    return [p.name for p in zoo.folder.iterdir() if not p.name.startswith(".")] == [NAME]


def test_a_file_is_fetched_once(host: Host, zoo: Zoo) -> None:
    path = fetch(remote(host), zoo)
    assert path == zoo.folder / NAME
    assert path.read_bytes() == CONTENT
    assert fetch(remote(host), zoo) == path
    assert host.requests == [(f"v2.0/{NAME}", None)]
    assert cache_holds_only_the_file(zoo)


def test_it_goes_on_where_the_connection_was_cut(host: Host, zoo: Zoo) -> None:
    host.cut_after = [262_144, 0, 131_072]
    assert fetch(remote(host), zoo, pause=0).read_bytes() == CONTENT
    starts = [asked for _, asked in host.requests]
    assert starts == [None, "bytes=262144-", "bytes=262144-", "bytes=393216-"]


def test_it_goes_on_in_another_process(host: Host, zoo: Zoo) -> None:
    host.cut_after = [262_144] + [0] * ATTEMPTS
    with pytest.raises(UserError, match="the connection was cut"):
        fetch(remote(host), zoo, pause=0)
    host.cut_after, host.requests = [], []
    assert fetch(remote(host), zoo).read_bytes() == CONTENT
    assert host.requests == [(f"v2.0/{NAME}", "bytes=262144-")]
    assert cache_holds_only_the_file(zoo)


def test_a_refusal_keeps_what_has_come(host: Host, zoo: Zoo) -> None:
    host.cut_after = [262_144] + [0] * ATTEMPTS
    with pytest.raises(UserError, match="the connection was cut"):
        fetch(remote(host), zoo, pause=0)
    host.cut_after, host.requests, host.statuses = [], [], [403]
    with pytest.raises(UserError, match="403"):
        fetch(remote(host), zoo, pause=0)
    assert fetch(remote(host), zoo).read_bytes() == CONTENT
    assert [asked for _, asked in host.requests] == ["bytes=262144-", "bytes=262144-"]


def test_a_cache_that_others_have_filled_needs_no_lock(host: Host, zoo: Zoo) -> None:
    path = fetch(remote(host), zoo)
    others = [file for file in zoo.folder.iterdir() if file != path]
    for file in others:
        file.unlink()
    assert fetch(remote(host), zoo) == path
    assert list(zoo.folder.iterdir()) == [path]


def test_what_had_come_whole_is_only_verified(host: Host, zoo: Zoo) -> None:
    """As after a job that was killed while it computed the hash."""
    zoo.folder.mkdir()
    (zoo.folder / f"{NAME}.part").write_bytes(CONTENT)
    assert fetch(remote(host), zoo).read_bytes() == CONTENT
    assert not host.requests
    assert cache_holds_only_the_file(zoo)


def test_pieces_that_do_not_fit_together_are_fetched_anew(host: Host, zoo: Zoo) -> None:
    zoo.folder.mkdir()
    (zoo.folder / f"{NAME}.part").write_bytes(b"another beginning")
    assert fetch(remote(host), zoo).read_bytes() == CONTENT
    assert [asked for _, asked in host.requests] == ["bytes=17-", None]
    assert cache_holds_only_the_file(zoo)


def test_they_are_fetched_anew_once(host: Host, zoo: Zoo) -> None:
    host.files[f"v2.0/{NAME}"] = b"a" * 200_000
    host.cut_after = [65_536, 200_000, 65_536]
    with pytest.raises(UserError, match="SHA-256"):
        fetch(remote(host), zoo, pause=0)
    assert [asked for _, asked in host.requests] == [None, "bytes=65536-"] * 2
    assert not [path for path in zoo.folder.iterdir() if not path.name.startswith(".")]


def test_more_than_the_host_has_is_no_beginning(host: Host, zoo: Zoo) -> None:
    zoo.folder.mkdir()
    (zoo.folder / f"{NAME}.part").write_bytes(b"a" * 800_000)
    assert fetch(remote(host), zoo, pause=0).read_bytes() == CONTENT
    assert [asked for _, asked in host.requests] == ["bytes=800000-", None]


def test_without_a_hash_nothing_is_put_together(host: Host, zoo: Zoo) -> None:
    host.files["plain.pth"] = CONTENT
    host.cut_after = [262_144, 131_072]
    assert fetch(Remote(host.url("plain.pth")), zoo, pause=0).read_bytes() == CONTENT
    assert [asked for _, asked in host.requests] == [None, None, None]


@pytest.mark.parametrize("sha256", [None, SHA256[:8]], ids=["no hash", "hash"])
def test_a_page_in_place_of_the_file_is_named_and_removed(
    sha256: str | None, host: Host, zoo: Zoo
) -> None:
    """As of a proxy that asks for a login, or of a host that has moved the file."""
    host.files["plain.pth"] = b"<!DOCTYPE html><title>Log in</title>"
    with pytest.raises(UserError, match=r"is a web page \('Log in'\); it was removed"):
        fetch(Remote(host.url("plain.pth"), sha256), zoo)
    assert not [path for path in zoo.folder.iterdir() if not path.name.startswith(".")]


def test_a_host_that_never_gets_further_is_given_up(host: Host, zoo: Zoo) -> None:
    host.files["plain.pth"] = CONTENT
    host.cut_after = [100_000, 200_000] * ATTEMPTS
    with pytest.raises(UserError, match="the connection was cut"):
        fetch(Remote(host.url("plain.pth")), zoo, pause=0)
    assert len(host.requests) == 1 + ATTEMPTS  # the second got further than the first


@pytest.mark.parametrize("etag", [True, False])
def test_a_host_without_ranges_gives_all_of_it_again(host: Host, zoo: Zoo, etag: bool) -> None:
    host.ranges, host.etag = False, etag
    host.cut_after = [300_000]
    assert fetch(remote(host), zoo, pause=0).read_bytes() == CONTENT


@pytest.mark.parametrize("etag", [True, False])
def test_a_file_that_changed_meanwhile_is_begun_anew(host: Host, zoo: Zoo, etag: bool) -> None:
    host.etag = etag
    host.files["plain.pth"] = b"a" * 500_000
    host.cut_after = [200_000] + [0] * ATTEMPTS
    changing = Remote(host.url("plain.pth"))
    with pytest.raises(UserError):
        fetch(changing, zoo, pause=0)
    host.cut_after = []
    host.files["plain.pth"] = b"b" * 500_001
    assert fetch(changing, zoo, pause=0).read_bytes() == b"b" * 500_001


def test_an_older_part_than_the_host_can_give_is_begun_anew(host: Host, zoo: Zoo) -> None:
    host.etag = False
    host.files["plain.pth"] = b"a" * 500_000
    host.cut_after = [200_000] + [0] * ATTEMPTS
    shrinking = Remote(host.url("plain.pth"))
    with pytest.raises(UserError):
        fetch(shrinking, zoo, pause=0)
    host.cut_after = []
    host.files["plain.pth"] = b"b" * 100  # the range begins behind its end: 416
    assert fetch(shrinking, zoo, pause=0).read_bytes() == b"b" * 100


def test_without_a_length_the_hash_decides(host: Host, zoo: Zoo) -> None:
    host.length = False
    host.cut_after = [300_000]
    with pytest.raises(UserError, match="SHA-256"):
        fetch(remote(host), zoo, pause=0)
    assert fetch(remote(host), zoo, pause=0).read_bytes() == CONTENT


def test_wrong_bytes_are_removed(host: Host, zoo: Zoo) -> None:
    host.files[f"v2.0/{NAME}"] = b"<html>captive portal</html>"
    with pytest.raises(UserError) as caught:
        fetch(remote(host), zoo)
    line = str(caught.value)
    assert SHA256[:8] in line
    assert "removed" in line
    assert "\n" not in line
    assert not [path for path in zoo.folder.iterdir() if not path.name.startswith(".")]
    assert len(host.requests) == 1  # it came in one piece: once more, it would be no other


def test_a_file_put_by_hand_is_verified_too(host: Host, zoo: Zoo) -> None:
    zoo.folder.mkdir()
    (zoo.folder / NAME).write_bytes(b"something else")
    with pytest.raises(UserError, match="delete the file"):
        fetch(remote(host), zoo)
    (zoo.folder / NAME).write_bytes(CONTENT)
    assert fetch(remote(host), zoo).read_bytes() == CONTENT
    assert not host.requests


def test_redirects_are_followed(host: Host, zoo: Zoo) -> None:
    host.redirects[f"v2.0/{NAME}"] = "elsewhere"
    host.files["elsewhere"] = CONTENT
    host.cut_after = [300_000]
    assert fetch(remote(host), zoo, pause=0).read_bytes() == CONTENT


def test_a_redirect_in_a_circle_ends(host: Host, zoo: Zoo) -> None:
    host.redirects[f"v2.0/{NAME}"] = f"v2.0/{NAME}"
    with pytest.raises(UserError, match="redirects"):
        fetch(remote(host), zoo, pause=0)


def test_a_busy_host_is_asked_again(host: Host, zoo: Zoo) -> None:
    host.statuses = [503, 429, 500]
    assert fetch(remote(host), zoo, pause=0).read_bytes() == CONTENT


def test_a_missing_file_is_asked_for_once(host: Host, zoo: Zoo) -> None:
    with pytest.raises(UserError, match=r"404.*by hand at .*nothing-0123abcd\.pth"):
        fetch(Remote(host.url("nothing-0123abcd.pth"), "0123abcd"), zoo)
    assert len(host.requests) == 1


def test_an_unreachable_host_is_one_line_with_the_remedies(zoo: Zoo) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UserError) as caught:
        fetch(Remote(f"http://127.0.0.1:{port}/{NAME}", SHA256[:8]), zoo, pause=0)
    line = str(caught.value)
    assert "refuses the connection" in line
    assert "zoo.mirrors" in line
    assert str(zoo.folder / NAME) in line
    assert "\n" not in line


def test_a_host_without_a_name_is_one_line(zoo: Zoo) -> None:
    with pytest.raises(UserError, match="cannot be fetched"):
        fetch(Remote(f"http://no-such-host.invalid/{NAME}", SHA256[:8]), zoo, pause=0)


def test_offline_takes_what_the_cache_holds(host: Host, zoo: Zoo) -> None:
    offline = Zoo(cache=zoo.cache, offline=True)
    with pytest.raises(UserError, match=r"zoo\.offline"):
        fetch(remote(host), offline)
    assert not host.requests
    assert not zoo.folder.exists()
    path = fetch(remote(host), zoo)
    assert fetch(remote(host), offline) == path


def test_a_mirror_takes_the_host_s_place(host: Host, zoo: Zoo) -> None:
    mirrors = {
        "https://weights.example/": f"{host.address}/nowhere/",
        "https://weights.example/mmdetection/": f"{host.address}/",
    }
    mirrored = Zoo(cache=zoo.cache, mirrors=mirrors)
    url = f"https://weights.example/mmdetection/v2.0/{NAME}"
    assert fetch(Remote(url, SHA256[:8]), mirrored).read_bytes() == CONTENT


def test_processes_that_want_the_same_file_fetch_it_once(host: Host, zoo: Zoo) -> None:
    threads = [threading.Thread(target=fetch, args=(remote(host), zoo)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert host.requests == [(f"v2.0/{NAME}", None)]


def test_a_file_system_without_locks_is_one_line(
    host: Host, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    with pytest.raises(UserError, match=r"zoo\.cache: .*cannot be locked there \(Function not"):
        fetch(remote(host), zoo)
    assert not host.requests


def test_a_cache_that_cannot_be_made_is_one_line(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"zoo\.cache: .*Not a directory"):
        fetch(remote(host), Zoo(cache=tmp_path / "file" / "cache"))


def test_a_full_disk_is_said_before_it_is_filled(
    host: Host, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(UserError, match="has no room for 1 MB"):
        fetch(remote(host), zoo, pause=0)


def test_a_disk_that_fills_up_keeps_what_has_come(
    host: Host, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.FileIO):
        def write(self, block: object) -> int:
            if self.tell() >= 2 * download.BLOCK:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(block)

    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda p, mode="r", **k: Full(p, mode) if mode == "ab" else real(p, mode, **k)
    )
    with pytest.raises(UserError, match="the disk is full"):
        fetch(remote(host), zoo, pause=0)
    monkeypatch.undo()
    assert fetch(remote(host), zoo).read_bytes() == CONTENT
    assert host.requests[-1][1] == f"bytes={2 * download.BLOCK}-"


def test_a_log_says_how_far_it_is(host: Host, zoo: Zoo, caplog: pytest.LogCaptureFixture) -> None:
    host.cut_after = [262_144]
    with caplog.at_level(logging.INFO):
        fetch(remote(host), zoo, pause=0)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == f"fetching {remote(host).url} to {zoo.folder / NAME}"
    assert lines[1] == f"{NAME}: 0.0 of 0.7 MB"
    assert lines[-1] == f"{NAME}: 0.7 of 0.7 MB"
    assert any("the connection was cut; trying again" in line for line in lines)
