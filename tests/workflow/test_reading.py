"""What the Python API reads from the results of an experiment that was run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import Project

import mtpd

pytestmark = pytest.mark.xdist_group("workflow")


@pytest.fixture
def experiment(ordered: Project, monkeypatch: pytest.MonkeyPatch) -> mtpd.Experiment:
    """The micro experiment that was run, opened in its folder."""
    monkeypatch.chdir(ordered.folder)
    return mtpd.Experiment(Path("experiments") / "micro.yaml", "results")


def test_the_table(experiment: mtpd.Experiment) -> None:
    table = experiment.results
    assert {"student without teacher", "teacher", "progressive", "chosen"} <= set(table["run"])
    written = pd.read_csv(experiment.layout.table("csv"))
    pd.testing.assert_frame_equal(table, written)


def test_costs_and_orders_are_those_of_the_workflow(experiment: mtpd.Experiment) -> None:
    written = json.loads(experiment.layout.order.read_text())
    table = mtpd.costs(experiment.feature_caches)
    pd.testing.assert_frame_equal(table, experiment.costs)
    scores = {**written["scores"], "student": written["student_score"]}
    order = mtpd.order(table, scores, "student")
    assert list(order.teachers) == written["runs"]["chosen"]["teachers"]
    assert experiment.order("chosen") == order.teachers
    assert experiment.reasons("chosen")[0] == mtpd.explain(order)[0]
    assert experiment.order("progressive") == ("a", "b")
    assert experiment.order("seeds~1") == ("b",)


def test_caches_of_other_points_do_not_compare(experiment: mtpd.Experiment, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    path = experiment.feature_caches["a"]
    with safe_open(path, framework="numpy") as file:
        identity = json.loads((file.metadata() or {})["identity"])
    other = tmp_path / "other.safetensors"
    save_file(load_file(path), other, {"identity": json.dumps({**identity, "seed": 99})})
    with pytest.raises(mtpd.UserError, match=r"was made from other seed than .*features"):
        mtpd.costs({"a": path, "other": other})


def test_models(experiment: mtpd.Experiment) -> None:
    models = experiment.models
    assert {"student", "a", "b", "c", "progressive", "chosen", "seeds~2"} <= set(models)
    student = experiment.student("progressive")
    assert student == models["progressive"]
    assert student.weights == experiment.layout.stage("fm", "a+b").weights
    assert student.name == "micro/progressive"


def test_a_loaded_student_finds_objects(experiment: mtpd.Experiment) -> None:
    detector = mtpd.load(experiment.student("progressive"), device="cpu", score_threshold=0.0)
    image = np.random.default_rng(0).integers(0, 255, (64, 48, 3), dtype=np.uint8)
    [found] = detector.predict([image])
    assert len(found) > 0
    assert (found.labels < len(detector.classes)).all()
    assert (found.boxes[:, 2] <= 48).all()
    folder = experiment.layout.stage("fm", "a+b").path
    [again] = mtpd.load(folder, device="cpu", score_threshold=0.0).predict([image])
    np.testing.assert_array_equal(found.boxes, again.boxes)


def test_a_run_of_what_is_finished_makes_nothing(experiment: mtpd.Experiment) -> None:
    before = experiment.layout.table("csv").stat().st_mtime_ns
    assert mtpd.run(experiment, cores=1, show=False) is experiment
    assert experiment.layout.table("csv").stat().st_mtime_ns == before
