"""An experiment that passes through every step in seconds, and changing it by dotted keys."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent
SHARED_DATA = PROJECT.parent / "shared" / "data"

SMALL = str(PROJECT / "config" / "detectors" / "retinanet_small.py")

# An experiment that passes through every step in seconds. Nothing is learned in it.
MICRO: dict[str, Any] = {
    "data": {"source": "shapes", "train": 8, "val": 4, "test": 4, "size": 64},
    "pipeline": {"size": [64, 64]},
    "training": {
        "epochs": 1,
        "batch_size": 4,
        "optimizer": {"type": "AdamW", "lr": 0.001},
        "decay_at": [0.8],
    },
    "student": {"name": "student", "config": SMALL},
    "teachers": {
        "a": {"config": SMALL},
        "b": {
            "config": SMALL,
            "options": {"model.neck.out_channels": 48, "model.bbox_head.in_channels": 48},
        },
        "c": {"config": SMALL},
    },
    "ordering": {"images": 6, "points": 8},
    "methods": {"fm": {"losses": [{"type": "feature_matching"}]}},
    "runs": {
        "progressive": {"method": "fm", "order": ["a", "b"]},
        "direct": {"method": "fm", "order": "direct"},
    },
}


def changed(settings: dict[str, Any], *changes: tuple[str, Any]) -> dict[str, Any]:
    """A copy of ``settings`` with values set at dotted keys; ``...`` takes a key out."""
    result = copy.deepcopy(settings)
    for dotted, value in changes:
        *parents, last = dotted.split(".")
        place = result
        for key in parents:
            place = place.setdefault(key, {})
        if value is ...:
            del place[last]
        else:
            place[last] = copy.deepcopy(value)
    return result
