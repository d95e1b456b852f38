"""What every job makes its results from, by content.

A recipe names the inputs of a job and the settings that count. Snakemake's rules, the steps and
the planner all ask here. Whatever is not in a recipe has no influence on a result: no path, name or
time is in it, nor a setting that has its default.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mtpd.chains import Chain
from mtpd.data.dataset import Dataset
from mtpd.data.sources import PROTOCOLS, source_content, splits_of
from mtpd.digests import UNKNOWN, Digests
from mtpd.errors import UserError
from mtpd.experiment.orders import known_chains
from mtpd.experiment.runs import (
    has_undecided_orders,
    order_needs_costs,
    order_settings,
    run_of,
    starts_afresh,
)
from mtpd.files import digest_of, read_json
from mtpd.layout import Layout, ModelFolder
from mtpd.settings.data import ShapesData, VocData, keeps_empty_images
from mtpd.settings.experiment import Experiment, Training
from mtpd.settings.runtime import Zoo
from mtpd.zoo.sources import remote_weights, weights_file

if TYPE_CHECKING:
    from mmengine.config import Config

BEGINNING = "…"
"""Ends a digest of which only the beginning is known, as the file is not fetched yet."""


class Task(NamedTuple):
    """One job of the workflow: its rule and the values of the rule's wildcards."""

    rule: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.rule, *self.names))


@dataclass(frozen=True)
class Made:
    """A file that another job makes; it counts by its bytes.

    Attributes:
        path: Of the file.
        task: The job.
    """

    path: Path
    task: Task


@dataclass(frozen=True)
class Prepared:
    """A part of the prepared data: the annotations of a split, or ``classes``."""

    part: str


Input = Made | Prepared


@dataclass(frozen=True)
class Recipe:
    """What one job makes its results from.

    Attributes:
        task: The job.
        content: Gives the settings that count. They are asked for late: to know them, configs of
            detectors are read.
        folder: Of the results.
        files: Results, as patterns relative to ``folder``.
        inputs: What else counts, by the part that it plays.
        after: Files that must be there before the job, and count for nothing beyond that.
        kind: Jobs of one kind with the same settings and inputs have the same results, which the
            store keeps; empty: they are made faster than found.
    """

    task: Task
    content: Callable[[], dict[str, Any]]
    folder: Path
    files: tuple[str, ...]
    inputs: dict[str, Input] = field(default_factory=dict)
    kind: str = ""
    after: dict[str, Path] = field(default_factory=dict)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that count, as they are read from a record."""
        found: dict[str, Any] = _plain(self.content())
        return found

    @property
    def is_made(self) -> bool:
        """Whether the first of the results is there."""
        return (self.folder / self.files[0]).exists()

    @property
    def is_whole(self) -> bool:
        """Whether results of every kind are there: the job will not run for want of one."""
        return all(any(self.folder.glob(pattern)) for pattern in self.files)

    def path(self, role: str) -> Path | None:
        """Path of the file that plays ``role``; None: the job needs no such file."""
        found = self.inputs.get(role)
        return found.path if isinstance(found, Made) else self.after.get(role)

    def identity(self, digests: Mapping[str, str | None]) -> str:
        """Digest of settings and inputs, given the digest of every input by its role."""
        content = {"settings": self.settings, "inputs": digests}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def results(self) -> dict[str, Path]:
        """Path in ``folder`` → path, of all results that are there."""
        found = (path for pattern in self.files for path in sorted(self.folder.glob(pattern)))
        return {str(path.relative_to(self.folder)): path for path in found}


def _plain(value: Any) -> Any:
    """A value as JSON has it: tuples are lists, 1.0 is 1, and what it has not is text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, str | int):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


def prepared_parts(dataset: Path) -> dict[str, str]:
    """Digest of every part of the prepared data: its splits, and ``classes``.

    Raises:
        UserError: The data was not prepared.
    """
    raw = read_json(dataset, "run the data step first")
    parts = {
        name: digest_of([split["sha256"], split.get("sample_sha256", "")])
        for name, split in raw["splits"].items()
    }
    return {**parts, "classes": digest_of(raw["classes"])}


class Recipes:
    """The recipes of an experiment's jobs.

    Args:
        experiment: The experiment.
        layout: Where its results lie.
        zoo: Where fetched weights lie.
        digests: Of the user's files.
    """

    def __init__(self, experiment: Experiment, layout: Layout, zoo: Zoo, digests: Digests) -> None:
        self.experiment, self.layout = experiment, layout
        self.zoo, self.digests = zoo, digests
        self._configs: dict[str, Config] = {}
        self._recipes: dict[Task, Recipe] = {}
        self._makers: dict[str, Callable[..., Recipe]] = {
            "data": self.data,
            "check": self.check,
            "check_pair": self.pair,
            "train": self.train,
            "features": self.features,
            "costs": self.costs,
            "order": self.order,
            "pretrained": self.pretrained,
            "stage": lambda method, chain: self.stage(method, Chain.parse(chain)),
            "evaluate_detector": self.detector_evaluation,
            "evaluate_stage": lambda method, chain: self.stage_evaluation(
                method, Chain.parse(chain)
            ),
            "results": self.results,
            "cost_matrix": self.cost_matrix,
            "report": self.report,
        }

    def of(self, task: Task) -> Recipe:
        """The recipe of any job."""
        if task not in self._recipes:
            self._recipes[task] = self._makers[task.rule](*task.names)
        return self._recipes[task]

    def again(self) -> Recipes:
        """The same, with configs and digests to be read anew."""
        return Recipes(self.experiment, self.layout, self.zoo, Digests())

    def data(self) -> Recipe:
        """The prepared data set."""
        experiment = self.experiment

        def content() -> dict[str, Any]:
            found = {
                split: source_content(experiment.data, split, self.digests) or UNKNOWN
                for split in splits_of(experiment.data)
            }
            if isinstance(experiment.data, VocData) and experiment.data.classes is None:
                # The classes are those of the training split, in every split.
                return {
                    split: {"own": own, "train": found["train"]} for split, own in found.items()
                }
            return found

        # Generated images are many, and generated as fast as they are linked.
        kind = "" if isinstance(experiment.data, ShapesData) else "data"
        return Recipe(
            Task("data"), content, self.layout.data, ("dataset.json", "*.json"), kind=kind
        )

    def check(self, name: str) -> Recipe:
        """The check of a detector: all that its training depends on."""
        trained, folder = self.train(name), self.layout.detector(name)
        return Recipe(
            Task("check", (name,)),
            trained.content,
            folder.path,
            (folder.check.name,),
            {**self._splits("train", "val"), "classes": Prepared("classes")},
            after=self._dataset(),
        )

    def pretrained(self, name: str) -> Recipe:
        """The note of where published weights lie that parts of a detector start from."""
        folder, task = self.layout.detector(name), Task("pretrained", (name,))
        model = lambda: {"model": self._model(name)}  # noqa: E731
        return Recipe(task, model, folder.path, (folder.pretrained.name,))

    def pair(self, method: str, teacher: str) -> Recipe:
        """The check of a method's losses between a teacher and the student."""
        experiment, layout = self.experiment, self.layout
        student = experiment.student.name
        path = layout.pair(method, teacher)

        def content() -> dict[str, Any]:
            training = experiment.stage_training(method, None)
            return {"losses": self._losses(method), **self._training(student, training, None)}

        inputs: dict[str, Input] = {
            "student": self._check(student),
            "teacher": self._check(teacher),
        }
        task = Task("check_pair", (method, teacher))
        return Recipe(task, content, path.parent, (path.name,), inputs)

    def train(self, name: str) -> Recipe:
        """A detector without teacher: trained, or taken over from given weights."""
        experiment, folder = self.experiment, self.layout.detector(name)
        detector, task = experiment.detector(name), Task("train", (name,))
        files = (folder.weights.name, folder.history.name)

        def taken_over() -> dict[str, Any]:
            return {"model": self._model(name), "weights": self._given(name)}

        def trained() -> dict[str, Any]:
            settings = self._training(name, experiment.detector_training(name), None)
            if detector.start_from is not None:
                settings["start_from"] = self._given(name)
            return settings

        after = {**self._dataset(), "check": folder.check}
        if detector.weights is not None:
            classes: dict[str, Input] = {"classes": Prepared("classes")}
            return Recipe(task, taken_over, folder.path, files, classes, "taken_over", after)
        splits = self._splits("train", "val")
        return Recipe(task, trained, folder.path, files, splits, "training", after)

    def stage(self, method: str, chain: Chain) -> Recipe:
        """The last stage of a chain: what it starts from, its teacher, and how it learns."""
        experiment, layout = self.experiment, self.layout
        folder, student = layout.stage(method, str(chain)), experiment.student.name
        teacher = chain.last.teacher
        inputs = self._splits("train", "val")
        if chain.parent is not None:
            previous = str(chain.parent)
            weights = layout.stage(method, previous).weights
            inputs["student"] = Made(weights, Task("stage", (method, previous)))
        elif not starts_afresh(experiment, method, chain):
            inputs["student"] = self._detector(student)
        after = self._dataset()
        if teacher is not None:
            inputs["teacher"] = self._detector(teacher)
            after["pair"] = layout.pair(method, teacher)

        def content() -> dict[str, Any]:
            training = experiment.stage_training(method, chain.last.epochs)
            settings = self._training(student, training, chain.seed)
            if teacher is not None:
                settings["teacher"] = self._model(teacher)
                settings["losses"] = self._losses(method)
                chosen = experiment.method(method)
                if chosen.teacher.precision is not None:
                    settings["teacher_precision"] = chosen.teacher.precision
                if chosen.teacher.stochastic_depth:
                    settings["teacher_stochastic_depth"] = True
                if chosen.tap != "after_norm":
                    settings["tap"] = chosen.tap
                if "student" not in inputs:
                    settings["start"] = experiment.method(method).start
            return settings

        task, files = (
            Task("stage", (method, str(chain))),
            (folder.weights.name, folder.history.name),
        )
        return Recipe(task, content, folder.path, files, inputs, "training", after)

    def detector_evaluation(self, name: str) -> Recipe:
        """The evaluation of a detector without teacher."""
        task = Task("evaluate_detector", (name,))
        return self._evaluation(task, name, self.layout.detector(name), Task("train", (name,)))

    def stage_evaluation(self, method: str, chain: Chain) -> Recipe:
        """The evaluation of the student after a stage."""
        names = (method, str(chain))
        folder, student = self.layout.stage(*names), self.experiment.student.name
        return self._evaluation(
            Task("evaluate_stage", names), student, folder, Task("stage", names)
        )

    def features(self, name: str) -> Recipe:
        """The feature cache of a detector."""
        folder, ordering = self.layout.detector(name), self.experiment.ordering

        def content() -> dict[str, Any]:
            return {
                **self._inference(name),
                "images": ordering.images,
                "points": ordering.points,
                "seed": self.experiment.seed,
            }

        inputs = {**self._splits("train"), "weights": self._detector(name)}
        task = Task("features", (name,))
        after, files = self._dataset(), (folder.features.name,)
        return Recipe(task, content, folder.path, files, inputs, "features", after)

    def costs(self) -> Recipe:
        """The adaptation costs between all detectors."""
        layout = self.layout
        inputs: dict[str, Input] = {
            name: Made(layout.detector(name).features, Task("features", (name,)))
            for name in self.experiment.detectors
        }

        def content() -> dict[str, Any]:
            return {"ridge": self.experiment.ordering.ridge, "judged": "on both halves"}

        return Recipe(Task("costs"), content, layout.root, (layout.costs.name,), inputs)

    def order(self) -> Recipe:
        """The orders of all runs."""
        layout, experiment = self.layout, self.experiment
        inputs: dict[str, Input] = {
            f"{name}: metrics": self._metrics(name) for name in experiment.detectors
        }
        if order_needs_costs(experiment):
            inputs["costs"] = Made(layout.costs, Task("costs"))

        def content() -> dict[str, Any]:
            return order_settings(experiment)

        return Recipe(Task("order"), content, layout.root, (layout.order.name,), inputs)

    def results(self) -> Recipe:
        """The experiment's table and the figure of its runs."""
        experiment, layout = self.experiment, self.layout
        inputs: dict[str, Input] = {}
        for name in experiment.detectors:
            folder = layout.detector(name)
            inputs[f"{name}: metrics"] = self._metrics(name)
            inputs[f"{name}: history"] = Made(folder.history, Task("train", (name,)))
        runs = {}
        for member, chain in known_chains(experiment, layout).items():
            method = run_of(experiment, member).method
            runs[member] = {"method": method, "chain": str(chain)}
            for prefix in chain.prefixes():
                names = (method, str(prefix))
                role = f"{method} {prefix}: history"
                inputs[role] = Made(layout.stage(*names).history, Task("stage", names))
            names = (method, str(chain))
            inputs[f"{method} {chain}: metrics"] = Made(
                layout.stage(*names).metrics, Task("evaluate_stage", names)
            )
        files = tuple(
            str(path.relative_to(layout.root))
            for path in (
                *(layout.table(kind) for kind in ("csv", "md", "tex")),
                *(layout.figure("val_ap", kind) for kind in ("png", "pdf")),
            )
        )
        return Recipe(Task("results"), lambda: {"runs": runs}, layout.root, files, inputs)

    def cost_matrix(self) -> Recipe:
        """The figure of the costs and of the orders that they led to."""
        layout = self.layout
        files = tuple(
            str(layout.figure("costs", kind).relative_to(layout.root)) for kind in ("png", "pdf")
        )
        inputs: dict[str, Input] = {
            "costs": Made(layout.costs, Task("costs")),
            "order": Made(layout.order, Task("order")),
        }

        def content() -> dict[str, Any]:
            return order_settings(self.experiment)

        return Recipe(Task("cost_matrix"), content, layout.root, files, inputs)

    def report(self) -> Recipe:
        """The experiment's page: what the table is made from, detections, orders and models."""
        layout, table = self.layout, self.results()
        models: dict[Task, ModelFolder] = {
            Task("evaluate_detector", (name,)): layout.detector(name)
            for name in self.experiment.detectors
        }
        for member, chain in known_chains(self.experiment, layout).items():
            names = (run_of(self.experiment, member).method, str(chain))
            models[Task("evaluate_stage", names)] = layout.stage(*names)
        inputs = {**table.inputs, **self._splits("val", "test"), "classes": Prepared("classes")}
        for task, folder in models.items():
            for split in self._splits("val", "test"):
                role = f"{' '.join(task.names)}: detections on {split}"
                inputs[role] = Made(folder.detections_of(split, "bbox"), task)
        if has_undecided_orders(self.experiment):
            inputs["order"] = Made(layout.order, Task("order"))
        if order_needs_costs(self.experiment):
            inputs["costs"] = Made(layout.costs, Task("costs"))
        files = (layout.report.name,)
        return Recipe(Task("report"), table.content, layout.root, files, inputs)

    def config(self, name: str) -> Config:
        """The detector's own config with the experiment's options; not to be changed."""
        from mtpd.detectors.own_config import own_config

        if name not in self._configs:
            self._configs[name] = own_config(name, self.experiment.detector(name))
        return self._configs[name]

    def _evaluation(self, task: Task, name: str, folder: ModelFolder, trained: Task) -> Recipe:
        latency_ms = self.experiment.detector(name).latency_ms

        def content() -> dict[str, Any]:
            settings = self._inference(name)
            if latency_ms is not None:
                settings["latency_ms"] = latency_ms
            if self.experiment.data.source in PROTOCOLS:
                settings["protocol"] = PROTOCOLS[self.experiment.data.source]
            return settings

        inputs = {
            **self._splits("val", "test"),
            "classes": Prepared("classes"),
            "weights": Made(folder.weights, trained),
        }
        files = (folder.metrics.name, f"{folder.detections.name}/*.json")
        return Recipe(task, content, folder.path, files, inputs, "evaluation", self._dataset())

    def _training(self, name: str, training: Training, seed: int | None) -> dict[str, Any]:
        from mtpd.detectors.content import training_content

        experiment = self.experiment
        chosen = experiment.seed if seed is None else seed
        content = training_content(
            self.config(name), experiment.pipeline, training, chosen, self.digests.of
        )
        return {**content, "empty_images": "keep"} if self._trains_on_empty_images else content

    @cached_property
    def _trains_on_empty_images(self) -> bool:
        """Whether the data has images without boxes, and these are trained on.

        Before the data is prepared nobody knows; then nothing is trained yet either.
        """
        data = self.experiment.data
        if not keeps_empty_images(data) or not self.layout.dataset.is_file():
            return False
        try:
            return Dataset.load(self.layout.dataset, data).splits["train"].has_empty
        except UserError:  # the data is prepared anew
            return False

    def _inference(self, name: str) -> dict[str, Any]:
        from mtpd.detectors.content import inference_content

        return inference_content(self.config(name), self.experiment.pipeline, self.digests.of)

    def _model(self, name: str) -> dict[str, Any]:
        from mtpd.detectors.content import model_content

        return model_content(self.config(name), self.digests.of)

    def _losses(self, method: str) -> list[dict[str, Any]]:
        found = []
        for loss in self.experiment.method(method).losses:
            given = loss.model_dump(mode="json", exclude_defaults=True)
            revision = {"revision": loss.revision} if loss.revision else {}
            found.append({"type": loss.type, **given, **revision})
        return found

    def _dataset(self) -> dict[str, Path]:
        return {"dataset": self.layout.dataset}

    def _splits(self, *splits: str) -> dict[str, Input]:
        named = splits_of(self.experiment.data)
        return {split: Prepared(split) for split in splits if split in named}

    def _check(self, name: str) -> Made:
        return Made(self.layout.detector(name).check, Task("check", (name,)))

    def _detector(self, name: str) -> Made:
        return Made(self.layout.detector(name).weights, Task("train", (name,)))

    def _metrics(self, name: str) -> Made:
        return Made(self.layout.detector(name).metrics, Task("evaluate_detector", (name,)))

    def _given(self, name: str) -> str:
        """SHA-256 of the weights that the experiment gives for a detector."""
        detector = self.experiment.detector(name)
        remote = remote_weights(detector)
        if remote is None:
            given = detector.weights or detector.start_from
            return self.digests.of(weights_file(str(given))) or UNKNOWN
        digest, note = self.digests.of(remote.path(self.zoo)), self.layout.fetched(remote.file)
        if digest is not None:
            return digest
        if note.is_file():
            return str(read_json(note)["sha256"])
        return remote.url if remote.sha256 is None else remote.sha256 + BEGINNING
