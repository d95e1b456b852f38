"""Where results lie. Snakemake's rules and the Python steps both ask here.

Every path is below one results folder. The folders of an experiment::

    data/         dataset.json, annotations of each split, generated images
    detectors/<name>/          a detector trained without teacher, or fetched
    stages/<method>/<chain>/   one stage, named by the chain that it ends
    pairs/<method>/<name>.json how a teacher teaches the student by a method
    order.json  costs.json     the orders, and the costs that led to them
    tables/  figures/  report.html
    made/<rule>/…              what each job's results were made from

Beside them ``paper/`` has the tables and figures that experiments make together.
``zoo/<file>.json`` says where a file of the cache lies, whichever experiment needs it.
``trackers/`` has what W&B and MLflow keep, where they are switched on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PAPER = "paper"
"""Folder of the papers' tables."""

ZOO = "zoo"
"""Folder of the notes on fetched files."""

TRACKERS = "trackers"
"""Folder of what W&B and MLflow keep here."""

RESERVED = (PAPER, ZOO, TRACKERS)
"""Folders of all experiments together: no experiment may have such a name."""


@dataclass(frozen=True)
class ModelFolder:
    """The files of one trained detector.

    Attributes:
        path: Their folder.
        weights: The checkpoint: a detector's own, or the student's alone after a stage.
    """

    path: Path
    weights: Path

    @property
    def config(self) -> Path:
        """MMEngine config of the detector: with ``weights`` all that MMDetection needs."""
        return self.path / "config.py"

    @property
    def training_config(self) -> Path:
        """MMEngine config of the training job; for a stage it holds student and teacher."""
        return self.path / "training.py"

    @property
    def history(self) -> Path:
        """Loss and validation AP of every epoch."""
        return self.path / "history.json"

    @property
    def metrics(self) -> Path:
        """Evaluation on the validation and test splits."""
        return self.path / "metrics.json"

    @property
    def detections(self) -> Path:
        """Folder of what was found on each split that was evaluated."""
        return self.path / "detections"

    def detections_of(self, split: str, kind: str) -> Path:
        """Detections of a split in COCO's results format.

        Boxes (bbox), masks (segm), or the boxes at hand at each frame's time (streaming).
        """
        return self.detections / f"{split}.{kind}.json"

    @property
    def check(self) -> Path:
        """Levels and head of the detector, found when all that its training needs was tried."""
        return self.path / "check.json"

    @property
    def pretrained(self) -> Path:
        """Where the files lie in the cache that the detector's parts start from."""
        return self.path / "pretrained.json"

    @property
    def start(self) -> Path:
        """Weights that the training starts from, as far as they fit; there while it runs."""
        return self.path / "start.pth"

    @property
    def features(self) -> Path:
        """Feature cache."""
        return self.path / "features.safetensors"

    @property
    def progress(self) -> Path:
        """Where a training job is: epoch, iteration, speed, host. For people, not for jobs."""
        return self.path / "progress.json"

    @property
    def events(self) -> Path:
        """Folder of the training's curves, for TensorBoard. For people, not for jobs."""
        return self.path / "tensorboard"

    def log(self, step: str) -> Path:
        """Log of one step (train, evaluate, features)."""
        return self.path / f"{step}.log"


def trackers_folder(results: Path) -> Path:
    """Where W&B and MLflow put what they do not send away."""
    return results / TRACKERS


def calibration_file(results: Path) -> Path:
    """What ``mtpd calibrate`` has measured on the devices that work for this folder."""
    return results / "calibration.yaml"


@dataclass(frozen=True)
class Layout:
    """Paths of one experiment below the ``results`` folder.

    With wildcards for names (``Layout.pattern()``) the same paths are the rules' patterns.
    """

    results: Path
    experiment: str

    @classmethod
    def pattern(cls, results: Path) -> Layout:
        """The layout with Snakemake's wildcard ``{experiment}`` as its name."""
        return cls(results, "{experiment}")

    @property
    def root(self) -> Path:
        """Folder of the experiment."""
        return self.results / self.experiment

    @property
    def data(self) -> Path:
        """Folder of the prepared data set."""
        return self.root / "data"

    @property
    def dataset(self) -> Path:
        """Description of the prepared data set."""
        return self.data / "dataset.json"

    @property
    def costs(self) -> Path:
        """Adaptation costs between all detectors."""
        return self.root / "costs.json"

    @property
    def order(self) -> Path:
        """Every run's order of teachers with every cost that led to it."""
        return self.root / "order.json"

    def fetched(self, file: str) -> Path:
        """Where a file of the cache lies; the same for all experiments."""
        return self.results / ZOO / f"{file}.json"

    def detector(self, name: str) -> ModelFolder:
        """Files of a detector that had no teacher."""
        folder = self.root / "detectors" / name
        return ModelFolder(folder, folder / "model.pth")

    def stage(self, method: str, chain: str) -> ModelFolder:
        """Files of the stage that ends ``chain`` (its text) taught by ``method``."""
        folder = self.root / "stages" / method / chain
        return ModelFolder(folder, folder / "student.pth")

    def pair(self, method: str, teacher: str) -> Path:
        """Levels and losses by which ``teacher`` teaches the student."""
        return self.root / "pairs" / method / f"{teacher}.json"

    def table(self, suffix: str) -> Path:
        """The table as ``csv``, ``md`` or ``tex``."""
        return self.root / "tables" / f"results.{suffix}"

    def figure(self, name: str, suffix: str) -> Path:
        """A figure as ``png`` or ``pdf``."""
        return self.root / "figures" / f"{name}.{suffix}"

    @property
    def report(self) -> Path:
        """The page with all that was found."""
        return self.root / "report.html"

    def record(self, rule: str, names: tuple[str, ...]) -> Path:
        """What the results of a job were made from; ``names`` are those of its wildcards."""
        return self.root.joinpath("made", rule, *names[:-1], f"{(names or ('all',))[-1]}.json")

    def log(self, step: str) -> Path:
        """Log of a step of the whole experiment."""
        return self.root / "logs" / f"{step}.log"


@dataclass(frozen=True)
class PaperLayout:
    """Paths of the papers' tables and figures below the ``results`` folder."""

    results: Path

    def table(self, name: str, suffix: str) -> Path:
        """A table as ``csv``, ``md`` or ``tex``."""
        return self.results / PAPER / "tables" / f"{name}.{suffix}"

    def figure(self, name: str, suffix: str) -> Path:
        """A figure as ``png`` or ``pdf``."""
        return self.results / PAPER / "figures" / f"{name}.{suffix}"

    @property
    def report(self) -> Path:
        """The page of all tables and figures; report.html would be an experiment's."""
        return self.results / PAPER / "index.html"

    def record(self, item: str) -> Path:
        """What ``item``, such as ``tables.mtpd_best``, was made from."""
        return self.results / PAPER / "made" / f"{item}.json"

    def log(self, item: str) -> Path:
        """Log of making ``item``, such as ``tables.mtpd_best``."""
        return self.results / PAPER / "logs" / f"{item}.log"
