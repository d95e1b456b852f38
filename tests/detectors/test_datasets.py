"""Data sets inside wrappers."""

from __future__ import annotations

from mmengine.config import ConfigDict

from mtpd.detectors.datasets import innermost


def test_wrappers_are_opened_and_their_repetitions_multiplied() -> None:
    own = {"type": "CocoDataset", "ann_file": "a.json"}
    thrice = {"type": "RepeatDataset", "times": 3, "dataset": own}
    seeded = {"type": "SeededDataset", "seed": 0, "dataset": thrice}
    wrapped = ConfigDict({"type": "RepeatDataset", "times": 2, "dataset": seeded})
    assert innermost(wrapped) == (own, 6)
    assert innermost(ConfigDict(own)) == (own, 1)
    assert innermost(ConfigDict()) == ({}, 1)
