"""Tables of a paper on the micro experiment, and what its jobs would have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from micro import MICRO, changed

from mtpd.experiment.load import load_experiment
from mtpd.files import write_json
from mtpd.layout import Layout, ModelFolder
from mtpd.papers.paper import Paper, load_experiments, load_paper
from mtpd.settings.experiment import Experiment

RUNS: dict[str, Any] = {
    "direct": {"method": "fm", "order": ["b"]},
    "progressive": {"method": "fm", "order": ["a", "b"]},
    "seeds": {"method": "fm", "order": ["a", "c"], "seeds": [1, 2, 3]},
    "chosen": {"method": "fm", "order": "bgs", "max_teachers": 2},
}


def cell(**keys: Any) -> dict[str, Any]:
    return {"experiment": "micro", "metric": "bbox_mAP", **keys}


TABLES: dict[str, Any] = {
    "tables": {
        "best": {
            "title": "Best results",
            "source": "A. Author, 2023",
            "labels": ["student", "teachers"],
            "rows": [
                {
                    "labels": ["R50", "a -> b"],
                    "cells": {
                        "without": cell(detector="student", published=36.5),
                        "after 1": cell(run="progressive", stage=1),
                        "distilled": cell(run="progressive", published=41.7, note="figure: 41.4"),
                    },
                },
                {
                    "labels": ["R50", "a -> c"],
                    "cells": {"distilled": cell(run="seeds", published=42.0, approximate=True)},
                },
            ],
        },
        "bars": {
            "title": "Direct against progressive",
            "source": "A. Author, 2023",
            "labels": ["student", "mechanism"],
            "rows": [
                {
                    "labels": ["R50", "FM"],
                    "cells": {
                        "direct": cell(run="direct", published=39.8),
                        "progressive": cell(run="progressive", published=40.2),
                    },
                },
            ],
        },
    },
    "figures": {
        "stages": {
            "kind": "ap_over_stages",
            "experiment": "micro",
            "runs": ["progressive", "seeds", "chosen"],
        },
        "bars": {"kind": "direct_against_progressive", "table": "bars"},
        "costs": {"kind": "cost_matrix", "experiment": "micro", "runs": ["chosen"]},
        "generalisation": {
            "kind": "training_loss_against_ap",
            "experiment": "micro",
            "runs": ["progressive", "seeds"],
        },
    },
}


class Case:
    """A folder with an experiment, the tables' file and results."""

    def __init__(self, folder: Path) -> None:
        self.experiments = folder / "experiments"
        self.tables = folder / "paper_tables.yaml"
        self.results = folder / "results"
        self.layout = Layout(self.results, "micro")
        self.experiments.mkdir()
        path = self.experiments / "micro.yaml"
        path.write_text(yaml.safe_dump(changed(MICRO, ("runs", RUNS))))
        self.experiment: Experiment = load_experiment(path)
        self.write()

    def write(self, *changes: tuple[str, Any]) -> None:
        self.tables.write_text(yaml.safe_dump(changed(TABLES, *changes), sort_keys=False))

    def load(self) -> tuple[Paper, dict[str, Experiment]]:
        paper = load_paper(self.tables)
        return paper, load_experiments(self.tables, paper, self.experiments)

    def stage(self, chain: str) -> ModelFolder:
        return self.layout.stage("fm", chain)

    def put(self, folder: ModelFolder, ap: float | None, epochs: int = 2, **metrics: Any) -> None:
        """Files of a trained and evaluated model; the loss falls to 0.5, of which 0.1 distils."""
        history = [
            {
                "epoch": number,
                "iterations": 10,
                "train": {
                    "loss": 0.6,
                    "loss_cls": 0.3 + 0.1 * (epochs - number),
                    "loss_bbox": 0.2,
                    "loss_distill_feature_matching": 0.1,
                },
                "val": {"bbox_mAP": 0.3 + 0.01 * number},
            }
            for number in range(1, epochs + 1)
        ]
        write_json(folder.history, {"images_per_step": 16, "epochs": history})
        write_json(
            folder.metrics,
            {
                "splits": {"val": {"bbox_mAP": 0.99}, "test": {"bbox_mAP": ap}},
                "reported_split": "test",
                "parameters": 37_740_000,
                "weights_sha256": f"hash of {folder.path.name}",
                "seed": 0,
                "config_hash": "settings",
                **metrics,
            },
        )

    def put_all(self) -> None:
        """Everything that is decided has been measured."""
        for name in self.experiment.detectors:
            self.put(self.layout.detector(name), 0.371)
        for chain, ap in {"b": 0.4, "a": 0.392, "a+b": 0.412}.items():
            self.put(self.stage(chain), ap)
        for seed, ap in ((1, 0.41), (2, 0.42), (3, 0.433)):
            self.put(self.stage(f"a~{seed}"), ap - 0.02)
            self.put(self.stage(f"a+c~{seed}"), ap)
        names = self.experiment.detectors
        costs = {one: {other: 0.5 for other in names if other != one} for one in names}
        write_json(self.layout.costs, {"costs": costs})
