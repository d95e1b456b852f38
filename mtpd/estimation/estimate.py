"""Which jobs an experiment has, which are left, and how long they will take.

Everything is told from the settings and from which files are there: no model is built, and torch
is not imported.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path

from mtpd.chains import Chain, stages_to_train
from mtpd.errors import UserError
from mtpd.estimation.config_names import ConfigName
from mtpd.estimation.images import Images, count_images
from mtpd.estimation.speed import Answer, Calibration, Kind, Speed, Workload, as_json
from mtpd.experiment.fetching import starts_pretrained
from mtpd.experiment.orders import known_chains
from mtpd.experiment.runs import (
    all_members,
    chains_of_runs,
    order_needs_costs,
    pairs,
    run_of,
    starts_afresh,
    teachers_at_most,
)
from mtpd.layout import Layout, ModelFolder
from mtpd.settings.experiment import Experiment, Resources, Run, Training
from mtpd.zoo.sources import remote_weights

RULES = (
    "data",
    "fetch",
    "pretrained",
    "check",
    "check_pair",
    "train",
    "evaluate_detector",
    "features",
    "costs",
    "order",
    "stage",
    "evaluate_stage",
    "results",
    "cost_matrix",
)
"""Of the workflow, as far as they belong to one experiment."""


@dataclass(frozen=True)
class PricedJob:
    """One job of the workflow, and what it takes.

    Attributes:
        rule: That makes it.
        product: A file by which it is known; None: nobody knows yet where it will lie.
        seconds: From its start to its end, all of it.
        part_left: 0: it is done; 1: it has not begun.
        gpus: That it uses.
        after: Jobs whose results it needs.
        n_bytes: Of the files that stay.
    """

    rule: str
    product: Path | None
    seconds: float
    part_left: float
    gpus: int = 0
    after: tuple[PricedJob, ...] = ()
    n_bytes: float = 0

    @property
    def is_left(self) -> bool:
        """Whether there is anything to do."""
        return self.part_left > 0

    @property
    def seconds_left(self) -> float:
        """Of wall time."""
        return self.seconds * self.part_left

    @property
    def gpu_seconds_left(self) -> float:
        """Of all its GPUs together."""
        return self.seconds_left * self.gpus

    @cached_property
    def ends(self) -> float:
        """Seconds from now until it can be done, however many machines there are."""
        return max((job.ends for job in self.after), default=0.0) + self.seconds_left


@dataclass(frozen=True)
class Estimate:
    """What an experiment takes.

    Attributes:
        name: Of the experiment.
        jobs: All of them, those that are done included.
        undecided: Runs whose order the data will decide: they count with as many stages as they
            can have, of the slowest teachers, and so the estimate says "at most".
        images: Of the data set; None for several experiments together.
    """

    name: str
    jobs: tuple[PricedJob, ...]
    undecided: tuple[str, ...] = ()
    images: Images | None = None

    @property
    def left(self) -> tuple[PricedJob, ...]:
        """Jobs that are not done."""
        return tuple(job for job in self.jobs if job.is_left)

    @property
    def gpu_hours(self) -> float:
        """Of all jobs that are left."""
        return sum(job.gpu_seconds_left for job in self.jobs) / 3600

    @property
    def hours_in_turn(self) -> float:
        """Wall time of one job after the other."""
        return sum(job.seconds_left for job in self.jobs) / 3600

    @property
    def hours_at_once(self) -> float:
        """Wall time where every job starts as soon as its inputs are there."""
        return max((job.ends for job in self.jobs), default=0.0) / 3600

    @property
    def n_bytes(self) -> float:
        """Of the files that the jobs left will leave behind."""
        return sum(job.n_bytes for job in self.left)


def estimate(experiment: Experiment, layout: Layout, speed: Speed) -> Estimate:
    """Jobs of ``experiment`` and what they take.

    Args:
        experiment: The experiment.
        layout: Where its results lie: what is there is done.
        speed: How long steps take.

    Raises:
        UserError: A file of the results cannot be read.
    """
    try:
        return _Planner(experiment, layout, speed).estimate()
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise UserError(error.filename, problem, "ask its owner for leave to read it") from error


def workloads(
    experiments: Iterable[tuple[Experiment, Layout]],
    *,
    distillation: bool = False,
    size: tuple[int, int] | None = None,
) -> dict[Workload, list[Kind]]:
    """All that an estimate of ``experiments`` needs to know, and which kinds of steps of it.

    Args:
        experiments: With the places of their results.
        distillation: Ask for every student with every teacher too.
        size: Of the images, in place of the experiments' own.
    """
    speed = Speed(Calibration())
    for experiment, layout in experiments:
        estimate(experiment, layout, speed)
    asked = list(speed.answers)
    if distillation:
        asked += [("distillation_step", pair) for pair in speed.pairs]
    found: dict[Workload, list[Kind]] = {}
    for kind, workload in asked:
        sized = workload if size is None else replace(workload, image_size=size)
        kinds = found.setdefault(sized, [])
        if kind not in kinds:
            kinds.append(kind)
    return found


class _Planner:
    """Puts an experiment's jobs together, each after those that it needs."""

    def __init__(self, experiment: Experiment, layout: Layout, speed: Speed) -> None:
        self.experiment, self.layout, self.speed = experiment, layout, speed
        self.images = count_images(experiment, layout)
        members = all_members(experiment)
        self.data_decides = len(chains_of_runs(experiment, {})) < len(members)
        self.jobs: list[PricedJob] = []
        self.downloads: dict[Path, PricedJob] = {}
        self.fetched: dict[str, list[PricedJob]] = {name: [] for name in experiment.detectors}
        self.trained: dict[str, PricedJob] = {}
        self.pairs: dict[tuple[str, str], PricedJob] = {}

    def estimate(self) -> Estimate:
        experiment = self.experiment
        known = known_chains(experiment, self.layout)
        bound = chains_of_runs(experiment, self._longest_orders())
        undecided = {name: chain for name, chain in bound.items() if name not in known}
        ordered = self._before_stages(bound)
        evaluated = self._known_stages(known) + self._unknown_stages(undecided, ordered)
        self._add("results", self.layout.table("csv"), 0, (*ordered, *evaluated))
        if order_needs_costs(experiment):
            self._add("cost_matrix", self.layout.figure("costs", "pdf"), 0, ordered)
        return Estimate(self.layout.experiment, tuple(self.jobs), tuple(undecided), self.images)

    def _before_stages(self, chains: dict[str, Chain]) -> tuple[PricedJob, ...]:
        """Jobs of the detectors, and of the order; gives the last ones."""
        experiment, layout = self.experiment, self.layout
        data = self._add("data", layout.dataset, 0)
        self._fetch(chains)
        checks = {
            name: self._add("check", layout.detector(name).check, 0, (data, *self.fetched[name]))
            for name in experiment.detectors
        }
        for method, teacher in pairs(experiment):
            needed = checks[experiment.student.name], checks[teacher]
            product = layout.pair(method, teacher)
            self.pairs[method, teacher] = self._add("check_pair", product, 0, needed)
        for name in experiment.detectors:
            self.trained[name] = self._train(name, (checks[name], *self.fetched[name]))
        evaluated = tuple(
            self._evaluate("evaluate_detector", layout.detector(name), name, self.trained[name])
            for name in experiment.detectors
        )
        costs: tuple[PricedJob, ...] = ()
        if order_needs_costs(experiment):
            caches = tuple(self._features(name) for name in experiment.detectors)
            costs = (self._add("costs", layout.costs, 0, caches),)
        if not self.data_decides:
            return evaluated
        return (*evaluated, self._add("order", layout.order, 0, (*evaluated, *costs)))

    def _fetch(self, chains: dict[str, Chain]) -> None:
        """Weights of others that detectors are, or start from. The network's speed is not known."""
        experiment, layout = self.experiment, self.layout
        student, afresh = experiment.student.name, False
        for member, chain in chains.items():
            method = run_of(experiment, member).method
            afresh |= starts_afresh(experiment, method, chain.prefixes()[0])
        for name in experiment.detectors:
            detector = experiment.detector(name)
            remote = remote_weights(detector)
            if remote is not None:
                product = layout.fetched(remote.file)
                job = self.downloads.get(product) or self._add("fetch", product, 0)
                self.downloads[product] = job
                self.fetched[name].append(job)
            trained = detector.weights is None and detector.start_from is None
            starts = trained or (name == student and afresh)
            if starts and starts_pretrained(experiment, name):
                job = self._add("pretrained", layout.detector(name).pretrained, 0)
                self.fetched[name].append(job)

    def _train(self, name: str, after: tuple[PricedJob, ...]) -> PricedJob:
        detector, folder = self.experiment.detector(name), self.layout.detector(name)
        training = self.experiment.detector_training(name)
        workload = self._workload(name, training)
        seconds = 0.0
        if detector.weights is None:
            step = self.speed.ask("train_step", workload).seconds
            seconds = self._training_seconds(training, workload, step)
        return self._add_model("train", folder, workload, seconds, after)

    def _known_stages(self, chains: dict[str, Chain]) -> tuple[PricedJob, ...]:
        """Stages that the settings or the order step have decided: each once."""
        by_method: dict[str, list[Chain]] = {}
        for name, chain in chains.items():
            by_method.setdefault(run_of(self.experiment, name).method, []).append(chain)
        student, evaluated = self.experiment.student.name, list[PricedJob]()
        for method, of_method in by_method.items():
            made: dict[Chain, PricedJob] = {}
            for chain in stages_to_train(of_method):
                parent = None if chain.parent is None else made[chain.parent]
                folder = self.layout.stage(method, str(chain))
                made[chain] = self._stage(method, chain, folder, parent)
                if chain in of_method:
                    job = self._evaluate("evaluate_stage", folder, student, made[chain])
                    evaluated.append(job)
        return tuple(evaluated)

    def _unknown_stages(
        self, chains: dict[str, Chain], ordered: tuple[PricedJob, ...]
    ) -> tuple[PricedJob, ...]:
        """The most that runs without an order can need: they may have no stage in common.

        Runs that are alike in all that decides their stages will have the same ones.
        """
        evaluated: dict[tuple[Run, Chain], PricedJob] = {}
        for name, chain in chains.items():
            run = run_of(self.experiment, name)
            if (run, chain) in evaluated:
                continue
            job: PricedJob | None = None
            for prefix in chain.prefixes():
                job = self._stage(run.method, prefix, None, job, ordered)
            assert job is not None, "a chain has a stage"
            evaluated[run, chain] = self._evaluate(
                "evaluate_stage", None, self.experiment.student.name, job
            )
        return tuple(evaluated.values())

    def _stage(
        self,
        method: str,
        chain: Chain,
        folder: ModelFolder | None,
        parent: PricedJob | None,
        ordered: tuple[PricedJob, ...] = (),
    ) -> PricedJob:
        experiment, teacher = self.experiment, chain.last.teacher
        student = experiment.student.name
        training = experiment.stage_training(method, chain.last.epochs)
        workload = self._workload(student, training)
        after = list(ordered)
        if parent is not None:
            after.append(parent)
        elif not starts_afresh(experiment, method, chain):
            after.append(self.trained[student])
        if teacher is None:
            step = self.speed.ask("train_step", workload).seconds
        else:
            after += [self.trained[teacher], self.pairs[method, teacher]]
            losses = [loss.model_dump(mode="json") for loss in experiment.method(method).losses]
            step = self.speed.distillation_step(
                workload, workload.of_detector(experiment.detector(teacher)), as_json(losses)
            )
        seconds = self._training_seconds(training, workload, step)
        return self._add_model("stage", folder, workload, seconds, after)

    def _evaluate(
        self, rule: str, folder: ModelFolder | None, name: str, model: PricedJob
    ) -> PricedJob:
        seconds = self.images.evaluated * self._detection(name).seconds
        return self._add(
            rule,
            None if folder is None else folder.metrics,
            seconds,
            (model,),
            self.experiment.resources.infer,
            self.images.evaluated * self.speed.assumptions.detections_bytes,
        )

    def _features(self, name: str) -> PricedJob:
        ordering, product = self.experiment.ordering, self.layout.detector(name).features
        values = ordering.images * ordering.points * self.speed.assumptions.feature_values
        # A little less in truth: the maps alone are needed, not what the head makes of them.
        seconds = ordering.images * self._detection(name).seconds
        needed, asked = (self.trained[name],), self.experiment.resources.infer
        return self._add("features", product, seconds, needed, asked, 4 * values)

    def _detection(self, name: str) -> Answer:
        """Time of one image in an evaluation."""
        training = self.experiment.detector_training(name)
        workload = self._workload(name, training, self.experiment.resources.infer)
        return self.speed.ask("evaluation", workload.detection)

    def _training_seconds(self, training: Training, workload: Workload, step: float) -> float:
        """Steps of all epochs, and a validation after each of them."""
        devices = max(1, self.experiment.resources.train.gpus)
        epochs = training.epochs or ConfigName.of(workload.config).epochs
        steps = ceil(self.images.splits["train"] / (workload.batch_size * devices))
        validated = ceil(self.images.splits["val"] / devices)
        detection = self.speed.ask("evaluation", workload.detection).seconds
        return epochs * (steps * step + validated * detection)

    def _workload(self, name: str, training: Training, asked: Resources | None = None) -> Workload:
        """What a step of the detector ``name`` by ``training`` depends on."""
        detector = self.experiment.detector(name)
        config = ConfigName.of(detector.config)
        resources = asked or self.experiment.resources.train
        on_gpu = resources.gpus > 0
        return Workload(
            config=detector.config,
            options=as_json(detector.options),
            image_size=self._image_size(),
            batch_size=training.batch_size or config.batch_size,
            amp=config.amp if training.amp is None else training.amp,
            device="cuda" if on_gpu else "cpu",
            threads=0 if on_gpu else resources.threads,
        )

    def _image_size(self) -> tuple[int, int]:
        """Without a size of the experiment's own, what is usual stands for the configs'."""
        pipeline = self.experiment.pipeline
        if pipeline.size is not None:
            return pipeline.size
        width, height = self.speed.assumptions.image_size
        return max(1, round(width * pipeline.scale)), max(1, round(height * pipeline.scale))

    def _longest_orders(self) -> dict[str, tuple[str, ...]]:
        """For every chain that the data orders: as many of the slowest teachers as it may have."""
        experiment = self.experiment
        if not self.data_decides:
            return {}
        training = experiment.detector_training(experiment.student.name)
        forward = {
            name: self.speed.ask("forward", self._workload(name, training)).seconds
            for name in experiment.teachers
        }
        slowest = tuple(sorted(forward, key=lambda name: (-forward[name], name)))
        orders = {}
        for member in all_members(experiment):
            run = run_of(experiment, member)
            most = 1 if run.order == "direct" else teachers_at_most(experiment, run)
            orders[member] = slowest[:most]
        return orders

    def _add_model(
        self,
        rule: str,
        folder: ModelFolder | None,
        workload: Workload,
        seconds: float,
        after: Iterable[PricedJob],
    ) -> PricedJob:
        """A job of the rule ``train`` or ``stage``; it may be half done."""
        part_left = 1.0 if folder is None else _part_left(folder)
        startup = self.speed.assumptions.startup_seconds
        resources = self.experiment.resources.train
        n_bytes = 4 * self.speed.n_parameters(workload)
        product = None if folder is None else folder.weights
        job = PricedJob(
            rule, product, startup + seconds, part_left, resources.gpus, tuple(after), n_bytes
        )
        self.jobs.append(job)
        return job

    def _add(
        self,
        rule: str,
        product: Path | None,
        seconds: float,
        after: Iterable[PricedJob] = (),
        resources: Resources | None = None,
        n_bytes: float = 0,
    ) -> PricedJob:
        """A job that makes ``product``."""
        part_left = 0.0 if product is not None and product.exists() else 1.0
        gpus = 0 if resources is None else resources.gpus
        startup = self.speed.assumptions.startup_seconds
        job = PricedJob(rule, product, startup + seconds, part_left, gpus, tuple(after), n_bytes)
        self.jobs.append(job)
        return job


def _part_left(folder: ModelFolder) -> float:
    """How much of a training is left: it says itself how far it is."""
    if folder.weights.exists():
        return 0.0
    try:
        progress = json.loads(folder.progress.read_bytes())
        return 1 - min(1, max(0, progress["iteration"] / progress["iterations"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return 1.0


def total(estimates: Iterable[Estimate]) -> Estimate:
    """Several experiments together, which do not wait for each other.

    What two of them need, such as a file that both fetch, counts once.
    """
    every = list(estimates)
    found = {job.product or id(job): job for one in every for job in one.jobs}
    return Estimate(
        "total",
        tuple(found.values()),
        tuple(f"{one.name}/{run}" for one in every for run in one.undecided),
    )


def count_rules(estimate: Estimate) -> dict[str, tuple[int, int]]:
    """Rule → jobs done, jobs left; in the order of the workflow."""
    every = Counter(job.rule for job in estimate.jobs)
    left = Counter(job.rule for job in estimate.left)
    return {rule: (every[rule] - left[rule], left[rule]) for rule in sorted(every, key=RULES.index)}


HEADINGS = ("experiment", "jobs left", "GPU hours", "hours in turn", "hours at once", "disk")


def cells(estimate: Estimate) -> tuple[str, ...]:
    """A row of the table below :data:`HEADINGS`."""
    figures = (
        f"{len(estimate.left)} of {len(estimate.jobs)}",
        _hours(estimate.gpu_hours),
        _hours(estimate.hours_in_turn),
        _hours(estimate.hours_at_once),
        f"{estimate.n_bytes / 1e9:.1f} GB",
    )
    bound = "≤ " if estimate.undecided and estimate.left else ""
    return (estimate.name, *(f"{bound if figure != '0' else ''}{figure}" for figure in figures))


def notes(estimates: Sequence[Estimate], speed: Speed) -> list[str]:
    """What the figures rest on, in a few lines."""
    lines = []
    bases = Counter((answer.source, answer.device_name) for answer in speed.answers.values())
    for (source, device), count in bases.items():
        share = f"{count} of {bases.total()} speeds" if len(bases) > 1 else "Speeds"
        words = {
            "measured": f"measured on {device}",
            "scaled": f"measured on {device} with other images or batches, and scaled",
            "assumed": f"assumed, for a {device}; `mtpd calibrate` measures them",
        }
        lines.append(f"{share}: {words[source]}.")
    asked = {load.config for (_, load), a in speed.answers.items() if a.source == "assumed"}
    if unknown := sorted(config for config in asked if not speed.assumptions.is_known(config)):
        usual = f"{speed.assumptions.default_detector} {speed.assumptions.default_backbone}"
        lines.append(f"Names that do not say what they are count as {usual}: {', '.join(unknown)}.")
    images: dict[str, list[str]] = {}
    for one in estimates:
        if one.images is not None:
            images.setdefault(one.images.source, []).append(one.name)
    for known_from, names in images.items():
        whose = f" ({', '.join(names)})" if len(images) > 1 else ""
        lines.append(f"Images: {known_from}{whose}.")
    if any(one.undecided for one in estimates):
        lines.append("≤: the data decides the order of some runs, which count at their longest.")
    return lines


def format_estimate(estimates: Sequence[Estimate], speed: Speed) -> str:
    """A plain table of the experiments, and what it rests on; for logs."""
    shown = [*estimates, total(estimates)] if len(estimates) > 1 else estimates
    rows = [HEADINGS, *(cells(one) for one in shown)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        right = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *right]))
    return "\n".join([*lines, *notes(estimates, speed)])


def _hours(hours: float) -> str:
    """Two digits that matter, or whole hours."""
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"
