"""Detectors as people name them."""

from __future__ import annotations

from pathlib import Path

import pytest
from micro import PROJECT

from mtpd.errors import UserError
from mtpd.intake.choice import Choice, choose, choose_all

R50 = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


@pytest.mark.parametrize(
    "given", ["r18_w16", "retinanet_r18_w16", "config/detectors/retinanet_r18_w16.py"]
)
def test_shipped_ones(given: str) -> None:
    config = "config/detectors/retinanet_r18_w16.py"
    assert choose("--student", given) == Choice("retinanet_r18_w16", config)


def test_mmdetections_own_and_names_that_stand_twice() -> None:
    found = choose_all("--teachers", [f"{R50}, gfl_r18_w32", R50.replace("_1x", "_2x")])
    assert [choice.name for choice in found] == ["retinanet_r50", "gfl_r18_w32", "retinanet_r50-2"]


def test_weights_with_their_config(tmp_path: Path) -> None:
    weights = tmp_path / "epoch_12.pth"
    weights.touch()
    found = choose("--teachers", f"{R50}={weights}")
    assert (found.config, found.weights) == (R50, str(weights))


def test_weights_beside_their_config(tmp_path: Path) -> None:
    folder = tmp_path / "big"
    folder.mkdir()
    (folder / "model.pth").touch()
    (folder / "config.py").touch()
    (folder / "training.py").touch()
    found = choose("--teachers", str(folder / "model.pth"))
    assert found == Choice("big", str(folder / "config.py"), str(folder / "model.pth"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("r19", "there is no detector 'r19'; use one of "),
        ("mmdet::no/such.py", "there is no config 'mmdet::no/such.py'"),
        (f"{R50}=nowhere.pth", "there is no file 'nowhere.pth'"),
        ("README.pth", "there is no file 'README.pth'"),
    ],
)
def test_wrong_ones_are_one_line(given: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        choose("--student", given)
    assert words in str(caught.value)


def test_weights_without_a_config(tmp_path: Path) -> None:
    weights = tmp_path / "a.pth"
    weights.touch()
    with pytest.raises(
        UserError, match="no config, and its detector is not known without one; give"
    ):
        choose("--teachers", str(weights))
