"""Results of an experiment as its jobs leave them, made by hand: nothing was trained.

Detections are the true boxes, moved and confused the more the worse a model is said to be. All that
the report reads beside them is computed from these by the project's own steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from micro import MICRO, SMALL, changed
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mtpd.detectors.weights import save_weights
from mtpd.evaluation.coco import coco_figures
from mtpd.experiment.runs import order_needs_costs
from mtpd.files import read_json, sha256_of, write_json
from mtpd.layout import ModelFolder
from mtpd.settings.experiment import Training
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data
from mtpd.steps.order import write_order

NARROW = {"model.neck.out_channels": 48, "model.bbox_head.in_channels": 48}
SETTINGS = changed(
    MICRO,
    ("description", 'Results made by hand, <with> a "sign" & an umlaut: ü'),
    ("data", {"source": "shapes", "train": 4, "val": 24, "test": 60, "size": 96, "seed": 3}),
    ("pipeline.size", [96, 96]),
    ("student", {"name": "small", "config": SMALL}),
    (
        "teachers",
        {name: {"config": SMALL, "options": NARROW} for name in ("wide", "deep", "large")},
    ),
    ("training.epochs", 4),
    ("ordering.max_teachers", 2),
    (
        "runs",
        {
            "bgs": {"method": "fm", "order": "bgs"},
            "direct": {"method": "fm", "order": "direct", "budget": "bgs"},
            "alone": {"method": "fm", "order": "none", "budget": "bgs"},
        },
    ),
)
QUALITY = {"small": 0.35, "wide": 0.6, "deep": 0.5, "large": 0.9}
"""Of the detectors."""

COSTS = {
    "small": {"wide": 0.5, "deep": 0.35, "large": 0.8},
    "wide": {"small": 0.3, "deep": 0.4, "large": 0.3},
    "deep": {"small": 0.25, "wide": 0.5, "large": 0.6},
    "large": {"small": 0.2, "wide": 0.35, "deep": 0.45},
}
STAGES = {"wide": 0.5, "wide+large": 0.62, "large@8": 0.48, "none@8": 0.42}
"""Quality of the student at the end of each stage."""


class ReportCase:
    """A folder with results; whole, unless parts are taken away."""

    def __init__(self, folder: Path, *changes: tuple[str, Any]) -> None:
        path = folder / "micro.yaml"
        path.write_text(yaml.safe_dump(changed(SETTINGS, *changes), sort_keys=False))
        self.context = Context.open(path, folder / "results")
        self.layout = self.context.layout
        prepare_data(self.context.experiment, self.layout)

    def put_all(self, stages: Mapping[str, float] = STAGES) -> None:
        """Detectors, costs, order and stages."""
        for name in self.context.experiment.detectors:
            self.put(name, self.layout.detector(name), QUALITY[name])
            self.layout.detector(name).features.write_bytes(b"of which costs are made")
        if order_needs_costs(self.context.experiment):
            spread = {
                one: {o: (c - 0.04, c + 0.04) for o, c in r.items()} for one, r in COSTS.items()
            }
            write_json(self.layout.costs, {"costs": COSTS, "intervals": spread})
        write_order(self.context)
        for chain, quality in stages.items():
            self.put("small", self.layout.stage("fm", chain), quality)

    def put(self, detector: str, folder: ModelFolder, quality: float) -> None:
        """Weights, history, detections and metrics of a model."""
        init_default_scope("mmdet")
        torch.manual_seed(round(1000 * quality))
        model = MODELS.build(self.context.detector_config(detector, Training()).model)
        save_weights(folder.weights, model, self.context.dataset.classes)
        splits, classes = {}, {}
        for split in ("val", "test"):
            annotations = self.context.dataset.splits[split].annotations
            found = folder.detections_of(split, "bbox")
            write_json(found, detections(read_json(annotations), quality))
            measured = coco_figures(annotations, found, "bbox")
            splits[split] = measured.figures
            classes[split] = {name: {"bbox_mAP": ap} for name, ap in measured.classes.items()}
        metrics = {
            "splits": splits,
            "classes": classes,
            "reported_split": "test",
            "parameters": sum(p.numel() for p in model.parameters()),
            "flops": 1_234_567,
            "latency_ms": 4.2,
            "latency_device": "cpu, 1 thread",
            "weights_sha256": sha256_of(folder.weights),
            "seed": 0,
            "config_hash": "0123456789abcdef",
            "versions": {"mtpd": "0.1.0", "torch": "2.14.1"},
        }
        write_json(folder.metrics, metrics)
        epochs = 8 if folder.path.name.endswith("@8") else 4
        write_json(folder.history, history(splits["val"]["bbox_mAP"], epochs))


def history(ap: float, epochs: int) -> dict[str, Any]:
    """Of a training that ends with the validation AP ``ap``."""
    rows = [
        {
            "epoch": number,
            "iterations": 10,
            "train_seconds": 6.0,
            "train": {"loss": 1 / number, "loss_cls": 0.5 / number, "loss_bbox": 0.5 / number},
            "val": {"bbox_mAP": ap * (0.6 + 0.4 * number / epochs)},
        }
        for number in range(1, epochs + 1)
    ]
    return {"images_per_step": 4, "learning_rate": 0.001, "epochs": rows}


def detections(instances: Mapping[str, Any], quality: float) -> list[dict[str, Any]]:
    """True boxes that are missed, moved, doubled or confused, and some where nothing is."""
    random = np.random.default_rng(round(1000 * quality))
    categories = [category["id"] for category in instances["categories"]]
    found = []
    for truth in instances["annotations"]:
        if random.random() > 0.4 + 0.6 * quality:
            continue
        box = np.array(truth["bbox"], dtype=float)
        box += random.normal(0, 0.25 * (1 - quality), 4) * box[[2, 3, 2, 3]]
        box[2:] = np.maximum(box[2:], 3)
        wrong = random.random() > 0.5 + 0.5 * quality
        category = int(random.choice(categories)) if wrong else truth["category_id"]
        score = float(np.clip(random.normal(0.35 + 0.5 * quality, 0.12), 0.05, 0.99))
        one = {"image_id": truth["image_id"], "category_id": category, "score": score}
        found.append({**one, "bbox": box.tolist()})
        if random.random() > quality:
            found.append({**found[-1], "score": 0.7 * score})
    for image in instances["images"]:
        if random.random() > quality:
            x, y, w, h = random.uniform(5, 60, 4)
            one = {"image_id": image["id"], "category_id": categories[0], "score": 0.3}
            found.append({**one, "bbox": [x, y, w, h]})
    return found
