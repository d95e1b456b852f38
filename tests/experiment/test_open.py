"""An experiment is given by its file or its name, and the workflow's settings say the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from micro import MICRO, changed

from mtpd.errors import UserError
from mtpd.experiment.load import open_experiment
from mtpd.settings.runtime import CONFIG, workflow_settings

VOC = ("data", {"source": "voc", "root": "of/another/machine"})


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Work in a folder with these settings and experiments called micro, 2024 and v1.5."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "mine").mkdir()
    for name in ("micro", "2024", "v1.5"):
        text = yaml.safe_dump(changed(MICRO, VOC))
        (tmp_path / "mine" / f"{name}.yaml").write_text(text)

    def write(text: str) -> None:
        (tmp_path / CONFIG).write_text(text)
        workflow_settings.cache_clear()

    write("folder: mine\nresults: elsewhere\ndata_roots: {micro: here, 2024: there}\n")
    return write


@pytest.mark.parametrize("given", ["micro", "mine/micro.yaml", Path("mine/micro.yaml")])
def test_by_name_or_file(configure: Callable[[str], None], given: str | Path) -> None:
    experiment, layout = open_experiment(given)
    assert experiment.data.root == Path("here")  # type: ignore[union-attr]
    assert layout.root == Path("elsewhere/micro")


@pytest.mark.parametrize("name", ["2024", "v1.5"])
def test_names_with_digits_and_points(configure: Callable[[str], None], name: str) -> None:
    assert open_experiment(name)[1].experiment == name


def test_what_is_given_wins(configure: Callable[[str], None]) -> None:
    experiment, layout = open_experiment("micro", Path("r"), Path("given"))
    assert experiment.data.root == Path("given")  # type: ignore[union-attr]
    assert layout.root == Path("r/micro")


def test_an_unknown_name_is_one_line(configure: Callable[[str], None]) -> None:
    with pytest.raises(UserError, match=r"those that exist: 2024, micro, v1\.5") as caught:
        open_experiment("mikro")
    assert caught.value.where == "mine/mikro.yaml"


def test_a_file_of_the_working_folder(configure: Callable[[str], None], tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(MICRO))
    assert open_experiment("own.yaml")[1].root == Path("elsewhere/own")


def test_configs_of_the_checkout(
    configure: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = "config/detectors/retinanet_small.py"
    changes = [(f"{key}.config", config) for key in ("student", *(f"teachers.{n}" for n in "abc"))]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(changed(MICRO, *changes)))
    assert open_experiment("own.yaml")[0].student.config == config


def test_wrong_settings_are_one_line(configure: Callable[[str], None]) -> None:
    configure("result: r")
    with pytest.raises(UserError, match=r"^config/config\.yaml: result: unknown key"):
        open_experiment("micro")
