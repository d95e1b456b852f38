"""The settings of the cache: from the file, from the environment, and inside jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtpd.errors import UserError
from mtpd.settings.runtime import VARIABLE, Zoo, zoo_settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VARIABLE, "MTPD_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Zoo().folder == Path.home() / ".cache" / "mtpd" / "checkpoints"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Zoo().folder == tmp_path / "xdg" / "mtpd" / "checkpoints"
    monkeypatch.setenv("MTPD_CACHE", str(tmp_path / "own"))
    assert Zoo().folder == tmp_path / "own"
    assert Zoo(cache=tmp_path / "config").folder == tmp_path / "config"


def test_settings_reach_the_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setenv("MTPD_CACHE", str(tmp_path))
    given = Zoo(mirrors={"https://a.example/": "https://b.example/"}, offline=True)
    given.export()
    monkeypatch.setenv("MTPD_CACHE", "elsewhere")
    assert zoo_settings() == given.model_copy(update={"cache": tmp_path})
    Zoo().export()  # as Snakemake does once more inside a job
    assert zoo_settings().folder == tmp_path


def test_settings_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    assert zoo_settings(path) == Zoo()
    path.write_text("experiments: [demo]\n")
    assert zoo_settings(path) == Zoo()
    path.write_text("zoo: {offline: true}\n")
    assert zoo_settings(path).offline


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("zoo: {ofline: true}", "zoo.ofline"),
        ("zoo: 3", "zoo"),
        ("zoo: {mirrors: {'https://a.example/': /data}}", "'/data' does not begin with http"),
        ("zoo: [", "zoo"),
    ],
)
def test_wrong_settings_are_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml: zoo") as caught:
        zoo_settings(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
