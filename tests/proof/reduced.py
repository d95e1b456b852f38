"""A paper's experiment as small as a laptop needs it, with as little changed as possible."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from mtpd.detectors.reading import read_config

SCALE = 0.24
"""Of all images: 1333x800 becomes 320x192."""

SEEDS = 2
"""At most, of a run."""

CHANGES = f"""\
- `data`: two COCO images for training and two for validation, in the layout of the real data set.
- `pipeline.scale: {SCALE}`: every image size in the detectors' own pipelines times {SCALE};
  1333x800 becomes 320x192.
- One epoch of one step where the experiment has 12 or 36. A run with the `budget` of another still
  has as many as that one's stages together.
- `resources`: one thread and no GPU, and so no mixed precision, which needs one.
- `ordering.images: 2`, as there are no more.
- `score_thr: 0`, so that detectors that have learnt nothing detect something.
- Two of a run's `seeds`.
- `sha256` of the zoo's detectors, and an address without hash for backbones from torchvision: the
  weights are random numbers here.
"""


def reduced(
    raw: dict[str, Any], hashes: dict[str, str], backbones: dict[str, str | None]
) -> dict[str, Any]:
    """The experiment ``raw`` (its YAML), changed as :data:`CHANGES` says.

    Args:
        raw: The experiment.
        hashes: SHA-256 of the weights that stand in for those of a config.
        backbones: Address of what the backbone of a config starts from; None: the config's own.
    """
    settings = copy.deepcopy(raw)
    settings["pipeline"]["scale"] = SCALE
    settings["training"]["epochs"] = 1
    settings.setdefault("ordering", {})["images"] = 2
    for part in (*detectors(settings), *settings["methods"].values()):
        part.get("training", {}).pop("epochs", None)
    for detector in detectors(settings):
        if "zoo" in (detector.get("weights"), detector.get("start_from")):
            detector["sha256"] = hashes[detector["config"]]
        config = read_config(detector["config"])
        part = "test_cfg.rcnn" if "roi_head" in config.model else "test_cfg"
        options = {**detector.get("options", {}), f"model.{part}.score_thr": 0.0}
        if (address := backbones[detector["config"]]) is not None:
            options["model.backbone.init_cfg.checkpoint"] = address
        detector["options"] = options
        if config.optim_wrapper.type == "AmpOptimWrapper" and "weights" not in detector:
            detector.setdefault("training", {})["amp"] = False
    for run in settings["runs"].values():
        if "seeds" in run:
            run["seeds"] = run["seeds"][:SEEDS]
    for kind in settings["resources"].values():
        kind.pop("gpus", None)
        kind["threads"] = 1
    return settings


def detectors(settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The student and the teachers of an experiment's YAML."""
    yield settings["student"]
    yield from settings["teachers"].values()
