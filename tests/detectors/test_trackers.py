"""Where the curves of a training go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.visualization import Visualizer

from mtpd.detectors.trackers import backends
from mtpd.layout import Layout


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtpd.settings.runtime.find_spec", lambda _: object())


def given(tmp_path: Path, *trackers: Any) -> list[dict[str, Any]]:
    layout = Layout(tmp_path / "results", "micro")
    folder = layout.detector("student")
    return backends(trackers, folder, layout.root, "train student", "0123abcd")


def test_tensorboard_alone(tmp_path: Path) -> None:
    (backend,) = given(tmp_path)
    folder = tmp_path / "results" / "micro" / "detectors" / "student" / "tensorboard"
    assert backend == {"type": "TensorboardVisBackend", "save_dir": str(folder)}


@pytest.mark.usefixtures("installed")
def test_a_training_that_goes_on_is_the_same_run_of_wandb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    first, again = given(tmp_path, "wandb")[1], given(tmp_path, "wandb")[1]
    assert first == again
    told = first["init_kwargs"]
    assert (told["id"], told["resume"]) == ("0123abcd", "allow")
    assert (told["project"], told["group"]) == ("mtpd", "micro")


@pytest.mark.usefixtures("installed")
def test_mlflow_goes_to_its_server_or_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    backend = given(tmp_path, "mlflow")[1]
    place = tmp_path / "results" / "trackers"
    assert backend["tracking_uri"] == f"sqlite:///{place}/mlflow.db"
    assert backend["artifact_location"] == f"file://{place}/mlruns"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    backend = given(tmp_path, "mlflow")[1]
    assert backend["tracking_uri"] == "https://mlflow.example"
    assert backend["artifact_location"] is None


@pytest.mark.parametrize("rank", [0, 1])
def test_only_the_first_process_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    monkeypatch.setattr("mmengine.dist.utils.get_rank", lambda group=None: rank)
    visualizer = Visualizer(vis_backends=given(tmp_path))
    visualizer.add_config(Config({"a": 1}))
    visualizer.add_scalars({"loss": 1.0}, step=1)
    visualizer.close()
    assert bool(list(tmp_path.rglob("events.*"))) == (rank == 0)
