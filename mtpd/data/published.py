"""The data sets of the papers: where their files belong, and how much is in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mtpd.data.counts import Counts
from mtpd.settings.data import ArgoverseHdData, CocoData, CocoSplit, CrowdHumanData

COUNTS: dict[str, dict[str, Counts]] = {
    "coco": {
        "instances_train2017.json": Counts(
            images=118_287, boxes=860_001, crowds=10_052, classes=80
        ),
        "instances_val2017.json": Counts(images=5_000, boxes=36_781, crowds=446, classes=80),
    },
    "argoverse_hd": {
        "train.json": Counts(images=39_384, classes=8, sequences=65),
        "val.json": Counts(images=15_062, classes=8, sequences=24),
    },
    "crowdhuman": {
        "annotation_train.odgt": Counts(images=15_000, classes=1),
        "annotation_val.odgt": Counts(images=4_370, classes=1),
    },
}
"""What a split has, by the source of the data and the name of its annotations."""


def coco_2017(root: Path) -> CocoData:
    """COCO 2017 as its archives unpack in ``root``."""
    train, val = (
        CocoSplit(annotations=Path(f"annotations/instances_{name}.json"), images=Path(name))
        for name in ("train2017", "val2017")
    )
    return CocoData(
        source="coco", root=root, train=train, val=val, bad_boxes="drop", empty_images="drop"
    )


def argoverse_hd(root: Path) -> ArgoverseHdData:
    """Argoverse-HD as its archive unpacks in ``root``."""
    return ArgoverseHdData(source="argoverse_hd", root=root, bad_boxes="drop")


def crowdhuman(root: Path) -> CrowdHumanData:
    """CrowdHuman, all its images unpacked in one folder in ``root``."""
    return CrowdHumanData(source="crowdhuman", root=root)


PUBLISHED: dict[str, Callable[[Path], CocoData | CrowdHumanData | ArgoverseHdData]] = {
    "COCO 2017": coco_2017,
    "CrowdHuman": crowdhuman,
    "Argoverse-HD": argoverse_hd,
}
"""Settings of each data set, from the folder that it lies in."""
