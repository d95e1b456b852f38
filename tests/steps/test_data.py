"""The data step on each kind of source, and on wrong input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from argoverse import write_argoverse_hd
from micro import SHARED_DATA

from mtpd.data.dataset import Dataset
from mtpd.data.shapes import generate_shapes
from mtpd.errors import UserError
from mtpd.experiment.load import load_experiment
from mtpd.layout import Layout
from mtpd.steps.data import prepare_data


@pytest.fixture
def coco(tmp_path: Path) -> dict[str, Any]:
    """A data set in COCO format, and the settings that name it."""
    root = tmp_path / "coco"
    for split in ("train", "val"):
        generate_shapes(root / split, split=split, images=4, size=64, seed=0)
    splits = {
        split: {"annotations": f"{split}/annotations.json", "images": f"{split}/images"}
        for split in ("train", "val")
    }
    return {"source": "coco", "root": str(root), **splits}


def prepared(path: Path, folder: Path) -> Dataset:
    layout = Layout(folder / "results", path.stem)
    experiment = load_experiment(path)
    prepare_data(experiment, layout)
    return Dataset.load(layout.dataset, experiment.data)


def test_shapes_are_generated(write_experiment: Any, tmp_path: Path) -> None:
    dataset = prepared(write_experiment(), tmp_path)
    assert {name: split.n_images for name, split in dataset.splits.items()} == {
        "train": 8,
        "val": 4,
        "test": 4,
    }
    assert dataset.has_masks
    assert dataset.reported == "test"


def test_coco_is_used_where_it_lies(
    write_experiment: Any, coco: dict[str, Any], tmp_path: Path
) -> None:
    dataset = prepared(write_experiment(("data", coco)), tmp_path)
    assert dataset.splits["train"].annotations == Path(coco["root"]) / "train/annotations.json"
    assert dataset.reported == "val"


def edit(coco: dict[str, Any], split: str, change: Any) -> None:
    path = Path(coco["root"]) / coco[split]["annotations"]
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c["annotations"][0].update(bbox=[200, 200, 5, 5]), "bad_boxes: drop"),
        (lambda c: c["annotations"][0].update(bbox=[2, 2, 0, 5]), "bad_boxes: drop"),
        (lambda c: c["annotations"][0].update(category_id=99), "99"),
        (lambda c: c.update(annotations=[]), "annotations: is empty"),
        (lambda c: c["images"][0].update(file_name="none.jpg"), "none.jpg"),
        (lambda c: c["categories"][0].update(name="other"), "are of 'other', which train"),
    ],
)
def test_wrong_annotations_are_one_line_and_leave_nothing_behind(
    write_experiment: Any, coco: dict[str, Any], tmp_path: Path, change: Any, match: str
) -> None:
    edit(coco, "val", change)
    path = write_experiment(("data", coco))
    with pytest.raises(UserError, match=match) as caught:
        prepared(path, tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "results" / "micro" / "data" / "dataset.json").exists()


def test_bad_boxes_are_left_out_of_training_and_count_in_evaluation(
    write_experiment: Any, coco: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = prepared(write_experiment(("data", coco)), tmp_path)
    for split in ("train", "val"):
        edit(coco, split, lambda c: c["annotations"][0].update(bbox=[2, 2, 0, 5]))
    dataset = prepared(write_experiment(("data", {**coco, "bad_boxes": "drop"})), tmp_path)
    assert dataset.splits["train"].n_boxes == whole.splits["train"].n_boxes - 1
    assert dataset.splits["train"].annotations.name == "train_cleaned.json"
    assert dataset.splits["val"].n_boxes == whole.splits["val"].n_boxes
    assert dataset.splits["val"].annotations == whole.splits["val"].annotations
    assert "train: left out 1 boxes of no area" in caplog.text
    assert "val: evaluation counts 1 boxes of no area" in caplog.text


def test_a_box_that_is_none_is_refused_in_evaluation_too(
    write_experiment: Any, coco: dict[str, Any], tmp_path: Path
) -> None:
    edit(coco, "val", lambda c: c["annotations"][0].update(bbox=[2, 2, 5]))
    with pytest.raises(UserError, match="not four finite numbers"):
        prepared(write_experiment(("data", {**coco, "bad_boxes": "drop"})), tmp_path)


def test_no_data_root_is_one_line(
    write_experiment: Any, coco: dict[str, Any], tmp_path: Path
) -> None:
    path = write_experiment(("data", {**coco, "root": str(tmp_path / "nowhere")}))
    with pytest.raises(UserError, match=r"data\.root: there is no folder"):
        prepared(path, tmp_path)


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no ../shared/data beside the project")
def test_bccd_is_converted(write_experiment: Any, tmp_path: Path) -> None:
    data = {"source": "voc", "root": str(SHARED_DATA / "bccd"), "bad_boxes": "drop"}
    dataset = prepared(write_experiment(("data", data)), tmp_path)
    assert dataset.classes == ("Platelets", "RBC", "WBC")
    assert {name: split.n_images for name, split in dataset.splits.items()} == {
        "train": 205,
        "val": 87,
        "test": 72,
    }
    assert not dataset.has_masks


def test_argoverse_hd_is_converted(write_experiment: Any, tmp_path: Path) -> None:
    data = write_argoverse_hd(tmp_path / "argoverse")
    dataset = prepared(write_experiment(("data", data)), tmp_path)
    assert dataset.protocol == "streaming"
    assert not dataset.has_masks
    assert {name: split.n_images for name, split in dataset.splits.items()} == {
        "train": 8,
        "val": 8,
    }
    images = json.loads(dataset.splits["val"].annotations.read_text())["images"]
    assert [(image["sid"], image["fid"]) for image in images][3:5] == [(0, 3), (1, 0)]
    assert (dataset.splits["val"].images / images[4]["file_name"]).is_file()
