"""What is wrong with an experiment's YAML is said in one line, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from micro import MICRO, PROJECT

from mtpd.errors import UserError
from mtpd.experiment.load import load_experiment
from mtpd.settings.experiment import Training

WRONG: list[tuple[str, Any, str, str]] = [
    ("trainin", {}, "trainin", "unknown key"),
    ("training.epoch", 3, "training.epoch", "unknown key"),
    ("training.epochs", 0, "training.epochs", "greater than 0"),
    ("training.decay_at", [1.5], "training.decay_at", "less than 1"),
    ("teachers", {}, "teachers", "at least 1"),
    ("teachers.a.config", "no/such.py", "teachers.a.config", "no/such.py"),
    ("teachers.a.config", "mmdet::retinanet/none.py", "teachers.a.config", "none.py"),
    ("teachers.a.weights", "no/such.pth", "teachers.a.weights", "no/such.pth"),
    ("teachers.a+b", {"config": "x"}, "a+b", "pattern"),
    ("teachers.none", {"config": "x"}, "none", "reserved"),
    ("teachers." + "t" * 240, {"config": "x"}, "teachers", "longer"),
    ("teachers.coco", {"confg": "x"}, "teachers.coco.confg", "unknown key"),
    ("methods.cwd", {"losses": [{"type": "cwd", "tau": 1}]}, "methods.cwd.losses.0.tau", "unknown"),
    ("pipeline.size", [0, -5], "pipeline.size.0", "greater than 0"),
    ("methods.fm.tap", "after", "methods.fm.tap", "'after_norm' or 'before_norm'"),
    (
        "methods.g",
        {"losses": [{"type": "pgd"}], "tap": "before_norm"},
        "methods.g.tap",
        "pgd works in the head",
    ),
    (
        "methods.l",
        {"losses": [{"type": "cwd"}, {"type": "ld"}], "tap": "before_norm"},
        "methods.l.tap",
        "ld works in the head",
    ),
    ("runs.progressive.order", ["a", "z"], "runs.progressive.order", "no teacher 'z'"),
    ("runs.progressive.order", "bsg", "runs.progressive.order", "bsg"),
    ("runs.progressive.order", [], "runs.progressive.order", "is empty"),
    ("runs.progressive.method", "mgd", "runs.progressive.method", "no method 'mgd'"),
    ("runs.progressive.seeds", [1, 1], "runs.progressive.seeds", "twice"),
    ("runs.progressive.seeds", [], "runs.progressive.seeds", "at least 1"),
    ("runs.progressive.seeds", [-1], "runs.progressive.seeds", "equal to 0"),
    ("runs.progressive.max_teachers", 4, "runs.progressive.max_teachers", "3 teachers"),
    ("runs.progressive.budget", "direct", "runs.progressive.budget", "several stages"),
    ("runs.direct.budget", "nobody", "runs.direct.budget", "no run 'nobody'"),
    ("ordering.max_teachers", 4, "ordering.max_teachers", "3 teachers"),
    ("student.name", "a", "student.name", "also a teacher"),
    ("data.source", "csv", "data", "csv"),
    (
        "data",
        {"source": "crowdhuman", "root": ".", "images": []},
        "data.images",
        "at least 1",
    ),
    ("methods.fm.losses", [], "methods.fm.losses", "at least 1"),
    ("methods.fm.losses", [{"type": "magic"}], "methods.fm.losses.0", "magic"),
    ("methods.fm.losses", [{"type": "cwd", "temperature": 0}], "temperature", "greater than 0"),
    ("methods.fm.losses", [{"type": "fgd", "temperature": 0}], "temperature", "greater than 0"),
    ("methods.fm.losses", [{"type": "mgd", "mask_ratio": 1}], "mask_ratio", "less than 1"),
    ("methods.fm.losses", [{"type": "mgd", "mask_ratio": -0.1}], "mask_ratio", "equal to 0"),
    ("methods.fm.losses", [{"type": "pgd", "positions": 0}], "positions", "greater than 0"),
    ("methods.fm.losses", [{"type": "pgd", "xi_regression": 2}], "xi_regression", "equal to 1"),
    ("methods.fm.losses", [{"type": "fgd", "lambda": 1}], "losses.0.lambda", "unknown key"),
    ("methods.fm.losses", [{"type": "cwd"}, {"type": "cwd"}], "methods.fm.losses", "twice"),
]


@pytest.mark.parametrize(("key", "value", "where", "problem"), WRONG)
def test_wrong_setting_is_one_line_with_file_key_and_remedy(
    write_experiment: Any, key: str, value: Any, where: str, problem: str
) -> None:
    path = write_experiment((key, value))
    with pytest.raises(UserError) as caught:
        load_experiment(path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    assert where in caught.value.where
    assert problem in line
    assert caught.value.remedy


def test_the_micro_experiment_is_right(write_experiment: Any) -> None:
    experiment = load_experiment(write_experiment())
    assert experiment.detectors == ("student", "a", "b", "c")


def test_missing_file_names_the_experiments_that_exist(write_experiment: Any) -> None:
    path = write_experiment()
    with pytest.raises(UserError, match="those that exist: micro"):
        load_experiment(path.with_name("other.yaml"))


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "data: 1\ndata: 2\n"])
def test_broken_yaml_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_experiment(path)
    assert "\n" not in str(caught.value)


def test_numbers_without_a_point_are_numbers(tmp_path: Path, write_experiment: Any) -> None:
    path = write_experiment()
    path.write_text(path.read_text().replace("lr: 0.001", "lr: 1e-3"))
    assert load_experiment(path).training.optimizer == {"type": "AdamW", "lr": 0.001}


def test_merge_keys_of_yaml_work(write_experiment: Any) -> None:
    path = write_experiment()
    resources = "resources:\n  train: &r {threads: 2}\n  infer: {<<: *r, mem_mb: 9}\n"
    path.write_text(f"{path.read_text()}\n{resources}")
    experiment = load_experiment(path)
    assert experiment.resources.infer.threads == 2
    assert experiment.resources.infer.mem_mb == 9


def test_data_root_takes_the_place_of_the_file_s(write_experiment: Any, tmp_path: Path) -> None:
    data = {"source": "voc", "root": "somewhere"}
    path = write_experiment(("data", data))
    assert load_experiment(path, tmp_path).data.root == tmp_path  # type: ignore[union-attr]


def test_data_root_for_generated_data_is_refused(write_experiment: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its data set has no folder"):
        load_experiment(write_experiment(), tmp_path)


def test_training_settings_are_laid_over_each_other(write_experiment: Any) -> None:
    path = write_experiment(
        ("teachers.a.training", {"epochs": 5}),
        ("student.training", {"batch_size": 2}),
        ("methods.fm.training", {"epochs": 3}),
    )
    experiment = load_experiment(path)
    assert experiment.detector_training("a").epochs == 5
    assert experiment.detector_training("a").batch_size == 4
    assert experiment.stage_training("fm", None).epochs == 3
    assert experiment.stage_training("fm", 7).epochs == 7
    assert experiment.stage_training("fm", None).batch_size == 2


def test_what_is_not_given_does_not_overwrite() -> None:
    assert Training(epochs=3).updated(Training(batch_size=2)) == Training(epochs=3, batch_size=2)


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "config" / "experiments").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_experiment_of_the_project_loads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    load_experiment(path)


def test_names_must_fit_into_one_name_together(write_experiment: Callable[..., Path]) -> None:
    """Snakemake's plugin for Slurm calls a log's folder by experiment, method and chain."""
    teachers = {letter * 60: MICRO["teachers"]["a"] for letter in "abc"}
    method = "m" * 60
    changes = [("teachers", teachers), ("methods", {method: MICRO["methods"]["fm"]})]
    chosen = ("runs", {"chosen": {"method": method, "order": "bgs"}})
    with pytest.raises(UserError, match=r"runs.chosen: .* a chain of 3 teachers .* 2\d\d charac"):
        load_experiment(write_experiment(*changes, chosen))
    load_experiment(write_experiment(*changes, chosen, ("ordering.max_teachers", 2)))
    written = ("runs", {"written": {"method": method, "order": ["a" * 60, "b" * 60]}})
    load_experiment(write_experiment(*changes, written))
