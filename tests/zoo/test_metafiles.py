"""What MMDetection publishes, read from its metafiles as it ships them and from broken ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mtpd.detectors.sources import config_file
from mtpd.zoo.metafiles import Record, published, read_metafiles, search
from mtpd.zoo.sources import FILE_PATTERN, Remote

ENTRY = """
  - Name: one
    Config: configs/one/one.py
    Metadata: {Epochs: 12, Training Memory (GB): 3.8}
    Results:
      - {Task: Object Detection, Dataset: COCO, Metrics: {box AP: 36.5}}
      - {Task: Instance Segmentation, Dataset: COCO, Metrics: {mask AP: 33}}
    Weights: https://weights.example/one-0123abcd.pth
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "one.py").touch()
    return tmp_path


def read(folder: Path, text: str) -> tuple[list[Record], str]:
    (folder / "one" / "metafile.yml").write_text(text)
    found = read_metafiles(folder)
    return list(found.records.values()), "\n".join(found.problems)


def test_an_entry(folder: Path) -> None:
    records, problems = read(folder, f"Models:{ENTRY}")
    assert records == [
        Record(
            config="mmdet::one/one.py",
            weights="https://weights.example/one-0123abcd.pth",
            dataset="COCO",
            box_ap=36.5,
            mask_ap=33.0,
            epochs=12,
            memory_gb=3.8,
        )
    ]
    assert not problems


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Models: [", "cannot be read"),
        ("Collections: []", "cannot be read"),
        ("Models: [3]", "an entry names no config"),
        ("Models: [{Name: one}]", "an entry names no config"),
        ("Models: [{Config: configs/one/none.py}]", "there is no config 'configs/one/none.py'"),
    ],
)
def test_what_cannot_be_used_is_reported(folder: Path, text: str, words: str) -> None:
    records, problems = read(folder, text)
    assert not records
    assert words in problems
    assert len(problems.splitlines()) == 1


@pytest.mark.parametrize("named", ["one.py", "configs/two/one.py", "configs/%6fne/one.py"])
def test_a_config_that_is_named_wrongly_is_found(folder: Path, named: str) -> None:
    records, problems = read(folder, f"Models:{ENTRY}".replace("configs/one/one.py", named))
    assert records[0].config == "mmdet::one/one.py"
    assert "is configs/one/one.py" in problems


def test_odd_entries_are_records_without_what_is_odd(folder: Path) -> None:
    text = (
        "- {Config: configs/one/one.py, Metadata: no, Results: [3, {Metrics: [1]}], Weights: [a]}"
    )
    records, problems = read(folder, text)
    assert records == [Record("mmdet::one/one.py", None)]
    assert "several weights" in problems


def test_of_two_entries_the_first_counts(folder: Path) -> None:
    records, problems = read(folder, f"Models:{ENTRY}{ENTRY.replace('0123abcd', 'deadbeef')}")
    assert [record.weights for record in records] == ["https://weights.example/one-0123abcd.pth"]
    assert "stands twice" in problems


def test_those_of_mmdetection() -> None:
    found = published()
    assert len(found.records) == 588
    assert len(found.problems) == 20
    record = found.records["mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"]
    assert (record.box_ap, record.epochs, record.memory_gb) == (36.5, 12, 3.8)
    assert str(record.weights).endswith("-c2398f9e.pth")
    assert found.records["mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py"].mask_ap == 34.7
    for config, record in found.records.items():
        assert config_file(config).is_file()
        if record.weights is not None:
            assert re.fullmatch(FILE_PATTERN, Remote(record.weights).file)
    files = {r.weights: Remote(r.weights).file for r in found.records.values() if r.weights}
    assert len(set(files.values())) == len(files)


def test_search() -> None:
    records = published().records
    found = search(records, ["RetinaNet", "3x"], min_box_ap=41)
    assert [record.config for record in found] == [
        "mmdet::retinanet/retinanet_x101-64x4d_fpn_ms-640-800-3x_coco.py",
        "mmdet::retinanet/retinanet_r101_fpn_ms-640-800-3x_coco.py",
    ]
    assert search(records, ["htc"], min_mask_ap=43)
    assert all((record.mask_ap or 0) >= 43 for record in search(records, min_mask_ap=43))
    assert search(records, ["no such detector"]) == []
