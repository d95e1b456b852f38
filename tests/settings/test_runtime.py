"""The settings of the workflow: from the file, from Snakemake's options, and inside jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from micro import PROJECT

from mtpd import installation
from mtpd.errors import UserError
from mtpd.settings.runtime import (
    CONFIG,
    VARIABLE,
    Workflow,
    Zoo,
    read_workflow,
    settings_file,
    start_workflow,
    workflow_settings,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder without anything in the environment."""
    for name in ("MTPD_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(VARIABLE, "")
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    return working


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Folder of a Snakefile, with nothing in it yet."""
    path = tmp_path / "checkout"
    path.mkdir()
    return path


def write(folder: Path, text: str) -> None:
    (folder / "config").mkdir(exist_ok=True)
    (folder / CONFIG).write_text(text)


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
    Workflow(zoo=given, results=Path("elsewhere"), data_roots={"demo": Path("d")}).export()
    monkeypatch.setenv("MTPD_CACHE", "elsewhere")
    assert workflow_settings().zoo == given.model_copy(update={"cache": tmp_path})
    assert workflow_settings().results == Path("elsewhere")
    assert workflow_settings().data_roots == {"demo": Path("d")}
    start_workflow({"experiments": "demo"}, tmp_path, is_job=True)  # Snakemake inside a job
    assert workflow_settings().zoo.folder == tmp_path
    start_workflow({"experiments": "demo"}, tmp_path, is_job=False)
    assert workflow_settings() == Workflow(
        experiments=("demo",), checkout=tmp_path, zoo=Zoo(cache=Path("elsewhere").absolute())
    )


def test_settings_of_the_file(folder: Path, checkout: Path) -> None:
    assert read_workflow(checkout=checkout) == Workflow(checkout=checkout)
    write(folder, "experiments: [demo]\n")
    assert read_workflow().zoo == Zoo()
    write(folder, "zoo: {offline: true}\n")
    assert read_workflow().zoo.offline
    write(folder, "zoo:\ndata_roots:\n")  # what stood there is commented out
    assert read_workflow(checkout=checkout) == Workflow(checkout=checkout)


def test_they_are_read_once(folder: Path) -> None:
    write(folder, "results: one\n")
    assert workflow_settings().results == Path("one")
    write(folder, "results: two\n")
    assert workflow_settings().results == Path("one")
    workflow_settings.cache_clear()
    assert workflow_settings().results == Path("two")


def test_options_of_snakemake_take_the_place_of_single_keys(folder: Path) -> None:
    write(folder, "experiments: [demo]\nresults: r\nzoo: {offline: true, cache: c}\n")
    found = read_workflow({"experiments": "a, b", "zoo": {"cache": "d"}})
    assert found.experiments == ("a", "b")
    assert found.results == Path("r")
    assert found.zoo == Zoo(offline=True, cache=Path("d"))


def test_where_finished_results_are_kept() -> None:
    assert Workflow().store_for(Path("results")) == Path(".mtpd-store")
    assert Workflow().store_for(Path("/big/results")) == Path("/big/.mtpd-store")
    assert Workflow(store=Path("/kept")).store_for(Path("results")) == Path("/kept")


def test_the_home_folder_is_put_in_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    write(
        folder,
        "results: ~/r\nfolder: ~/f\nstore: ~/s\npaper_tables: ~/p.yaml\n"
        "data_roots: {demo: ~/d}\nzoo: {cache: ~/c}\n",
    )
    home, found = Path("/home/me"), read_workflow()
    assert found.results == home / "r"
    assert found.folder == home / "f"
    assert found.store == home / "s"
    assert found.paper_tables == home / "p.yaml"
    assert found.data_roots == {"demo": home / "d"}
    assert found.zoo.cache == home / "c"


def test_the_checkout_has_what_the_working_folder_has_not(folder: Path, checkout: Path) -> None:
    (checkout / "config" / "experiments").mkdir(parents=True)
    write(checkout, "experiments: [demo]\nresults: results\n")
    found = read_workflow(checkout=checkout)
    assert found.experiments == ("demo",)
    assert found.folder == checkout / "config" / "experiments"
    assert found.paper_tables == Path("config/paper_tables.yaml")  # nowhere
    assert found.results == Path("results")
    (checkout / "detector.py").touch()
    assert found.found(Path("detector.py")) == checkout / "detector.py"
    (folder / "detector.py").touch()
    assert found.found(Path("detector.py")) == Path("detector.py")
    write(folder, "results: own\n")
    own = read_workflow(checkout=checkout)
    assert own.experiments == ()
    assert own.results == Path("own")


def test_this_project_is_the_checkout() -> None:
    assert PROJECT.resolve() == installation.PROJECT
    assert settings_file() == installation.PROJECT / CONFIG


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("demo", ("demo",)),
        ("[a, b]", ("a", "b")),
        ("2024", ("2024",)),
        ("[2024, 007, 1e3, 2024-01-01, 'on']", ("2024", "007", "1e3", "2024-01-01", "on")),
    ],
)
def test_names_that_are_numbers(folder: Path, text: str, names: tuple[str, ...]) -> None:
    write(folder, f"experiments: {text}\ndata_roots: {{2024: d}}")
    assert read_workflow().experiments == names
    assert read_workflow().data_roots == {"2024": Path("d")}


@pytest.mark.parametrize("given", [2024, [2024], ["2024"], "2024"])
def test_names_that_snakemake_has_read_as_numbers(given: Any) -> None:
    assert read_workflow({"experiments": given}).experiments == ("2024",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("zoo: {ofline: true}", "zoo.ofline: unknown key; the keys are: cache, mirrors, offline"),
        ("zoo: 3", "zoo: input should be"),
        (
            "zoo: {mirrors: {'https://a.example/': /data}}",
            "zoo.mirrors: '/data' does not begin with http",
        ),
        ("result: r", "result: unknown key; the keys are: experiments, folder, results, store,"),
        ("checkout: /here", "checkout: unknown key"),
        ("experiments: []", "experiments: names no experiment; name at least one"),
        ("experiments:", "experiments: names no experiment"),
        ("experiments: [a/b]", "experiments.0: string should match pattern"),
        ("experiments: [on]", "experiments.0: yes, on and true without quotes are true in YAML"),
        ("experiments: {a: b}", "experiments: input should be a valid tuple"),
        ("results: [r]", "results: input is not a valid path"),
        ("results: no", "results: no, off and false without quotes are false in YAML"),
        ("data_roots: {demo: }", "data_roots.demo: input is not a valid path"),
        ("data_roots: d", "data_roots: input should be a valid dictionary"),
    ],
)
def test_wrong_settings_are_one_line(folder: Path, text: str, words: str) -> None:
    write(folder, text)
    with pytest.raises(UserError) as caught:
        read_workflow()
    line = str(caught.value)
    assert line.startswith(f"config/config.yaml: {words}")
    assert "\n" not in line
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"zoo: [", "is not YAML"),
        (b"- demo", "is not a mapping of keys to values; write keys"),
        (b"demo", "is not a mapping of keys to values"),
        (b"", "is not a mapping of keys to values"),
        (b"results: \xff", "is not UTF-8 text (byte 0xff in line 1); save it as UTF-8"),
        ("results: a".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (b"results: a\nresults: b", "key 'results' stands twice"),
        (None, "cannot be read (Is a directory)"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    folder: Path, content: bytes | None, words: str
) -> None:
    (folder / "config").mkdir()
    if content is None:
        (folder / CONFIG).mkdir()
    else:
        (folder / CONFIG).write_bytes(content)
    with pytest.raises(UserError, match=r"^config/config\.yaml: ") as caught:
        workflow_settings()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"resuls": "r"}, "resuls: unknown key"),
        ({"experiments": 1000.0}, "experiments: is read as the number 1000.0"),
        ({"experiments": True}, "experiments: yes, on and true"),
        ({"experiments": "../micro"}, "experiments.0: string should match pattern"),
        ({"experiments": ""}, "experiments: names no experiment"),
    ],
)
def test_wrong_options_of_snakemake_are_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        read_workflow(given)
    assert str(caught.value).startswith(f"--config or --configfile: {words}")


def test_snakemake_needs_an_experiment(folder: Path, checkout: Path) -> None:
    write(folder, "results: r")
    with pytest.raises(UserError, match=r"config/config\.yaml: experiments: key is missing"):
        start_workflow({}, checkout, is_job=False)


def test_a_wrong_variable_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "{")
    with pytest.raises(UserError, match=rf"^{VARIABLE}: .*unset {VARIABLE}"):
        workflow_settings()


@pytest.mark.parametrize(
    ("given", "trackers"),
    [
        ({}, ()),
        ({"trackers": None}, ()),
        ({"trackers": []}, ()),
        ({"trackers": ["wandb", "mlflow"]}, ("wandb", "mlflow")),
        ({"trackers": "mlflow, wandb"}, ("mlflow", "wandb")),
        ({"trackers": ["wandb", "wandb"]}, ("wandb",)),
    ],
)
def test_trackers(given: dict[str, Any], trackers: tuple[str, ...]) -> None:
    assert read_workflow(given).trackers == trackers


@pytest.mark.parametrize("given", ["comet", ["wandb", "comet"], [1]])
def test_a_tracker_that_is_none_is_one_line(given: Any) -> None:
    with pytest.raises(UserError, match=r"trackers: .* is no tracker; name some of wandb, mlflow"):
        read_workflow({"trackers": given})


def test_a_tracker_that_is_not_installed_is_said_before_any_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mtpd.settings.runtime.find_spec", lambda _: None)
    given = {"experiments": ["demo"], "trackers": ["mlflow"]}
    with pytest.raises(UserError, match=r"mlflow is not installed here; run `pip install mlflow`"):
        start_workflow(given, PROJECT, is_job=False)
