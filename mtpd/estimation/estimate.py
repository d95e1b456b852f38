"""What the jobs of Snakemake's plan will take.

Everything is told from the experiments' settings and from the jobs that Snakemake plans: no model
is built, and torch is not imported.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import TopologicalSorter
from math import ceil
from pathlib import Path

from mtpd.chains import Chain, Stage
from mtpd.errors import UserError
from mtpd.estimation.config_names import ConfigName
from mtpd.estimation.images import Images, count_images
from mtpd.estimation.plan import PlannedJob
from mtpd.estimation.speed import (
    Answer,
    Assumptions,
    Calibration,
    Kind,
    Speed,
    Workload,
    as_json,
)
from mtpd.experiment.recipes import Task
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

SHARED = "(shared)"
"""In place of an experiment's name, for jobs of none or of several."""

STRIDES, CHANNELS = (8, 16, 32, 64, 128), 256
"""Of a teacher's neck, as most have them: for the size of its maps."""

Awaited = Callable[[Experiment, str, Mapping[str, Chain]], Iterable[Task]]
"""What comes once the order of an experiment is known: from the experiment, its name, and the
chains that some runs would then have."""


@dataclass(frozen=True)
class Price:
    """What one job takes, beside the time until it does its own work.

    Attributes:
        seconds: Of wall time.
        gpus: That it uses.
        n_bytes: Of the files that stay.
        threads: That it uses.
    """

    seconds: float = 0
    gpus: int = 0
    n_bytes: float = 0
    threads: int = 1


@dataclass(frozen=True, eq=False)
class PricedJob:
    """One job of the workflow, and what it takes.

    Attributes:
        task: Its rule and wildcards.
        product: A file by which it is known; None: nobody knows yet where it will lie.
        seconds: From its start to its end, all of it.
        part_left: 0: it is done; 1: it has not begun.
        is_left: Whether it will run.
        is_kept: Whether it will take its results from the store.
        gpus: That it uses.
        after: Jobs whose results it needs.
        n_bytes: Of the files that stay.
        threads: That it uses.
    """

    task: Task
    product: Path | None
    seconds: float
    part_left: float = 1
    is_left: bool = True
    is_kept: bool = False
    gpus: int = 0
    after: tuple[PricedJob, ...] = ()
    n_bytes: float = 0
    threads: int = 1

    @property
    def rule(self) -> str:
        """That makes it."""
        return self.task.rule

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


def awaited_by_all(
    experiment: Experiment, _name: str, chains: Mapping[str, Chain]
) -> Iterable[Task]:
    """What the target ``all`` needs of an experiment once its order is known."""
    yield Task("results")
    yield Task("report")
    if order_needs_costs(experiment):
        yield Task("cost_matrix")
    for member, chain in chains.items():
        yield Task("evaluate_stage", (run_of(experiment, member).method, str(chain)))


def estimate(
    planned: Sequence[PlannedJob],
    experiments: Iterable[tuple[Experiment, Layout]],
    speed: Speed,
    awaited: Awaited = awaited_by_all,
) -> list[Estimate]:
    """What the jobs of a plan take, by experiment.

    Jobs that belong to no single experiment count for those that need them; what no experiment
    needs, such as the papers' tables, comes last, as :data:`SHARED`.

    Args:
        planned: The jobs.
        experiments: That they belong to, with the places of their results.
        speed: How long steps take.
        awaited: What is not in the plan yet, as it waits for an order.

    Raises:
        UserError: A file of the results cannot be read.
    """
    try:
        prices = {
            layout.experiment: Prices(experiment, layout, speed)
            for experiment, layout in experiments
        }
        return _estimates(planned, prices, awaited)
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise UserError(
            error.filename, problem, "ask its owner for permission to read it"
        ) from error


def workloads(
    experiments: Iterable[tuple[Experiment, Layout]],
    *,
    distillation: bool = False,
    size: tuple[int, int] | None = None,
) -> dict[Workload, list[Kind]]:
    """All that an estimate of ``experiments`` may need to know, and which kinds of steps of it.

    Args:
        experiments: With the places of their results.
        distillation: Ask for every student with every teacher too.
        size: Of the images, in place of the experiments' own.
    """
    speed = Speed(Calibration())
    for experiment, layout in experiments:
        prices = Prices(experiment, layout, speed)
        for name in experiment.detectors:
            prices.training(name)
            prices.evaluation(name)
        for method, teacher in pairs(experiment):
            prices.stage(method, Stage(teacher))
        for run in experiment.runs.values():
            if run.order == "none":
                prices.stage(run.method, Stage(None))
        prices.longest_orders()
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


class Prices:
    """What the jobs of an experiment take.

    Args:
        experiment: The experiment.
        layout: Where its results lie: prepared data says how many images there are.
        speed: How long steps take.
    """

    def __init__(self, experiment: Experiment, layout: Layout, speed: Speed) -> None:
        self.experiment, self.layout, self.speed = experiment, layout, speed
        self.images = count_images(experiment, layout)
        self._stages: dict[tuple[str, Stage], Price] = {}

    def of(self, task: Task) -> Price:
        """The price of any job; most do little more than start."""
        names = task.names
        match task.rule:
            case "train":
                return self.training(names[0])
            case "stage":
                return self.stage(names[0], Chain.parse(names[1]).last)
            case "evaluate_detector":
                return self.evaluation(names[0])
            case "evaluate_stage":
                return self.evaluation(self.experiment.student.name)
            case "features":
                return self.features(names[0])
            case _:
                return Price()

    def training(self, name: str) -> Price:
        """A detector without teacher; given weights are only taken over."""
        training = self.experiment.detector_training(name)
        workload = self._workload(name, training)
        seconds = 0.0
        if self.experiment.detector(name).weights is None:
            step = self.speed.ask("train_step", workload).seconds
            seconds = self._training_seconds(training, workload, step)
        return self._model(workload, seconds)

    def stage(self, method: str, stage: Stage) -> Price:
        """A stage by ``method``, wherever in a chain it stands."""
        key = method, stage
        if key not in self._stages:
            self._stages[key] = self._stage(*key)
        return self._stages[key]

    def evaluation(self, name: str) -> Price:
        """A detector on the validation and test images, or the student after a stage."""
        images = self.images.evaluated
        return Price(
            images * self._detection(name).seconds,
            self.experiment.resources.infer.gpus,
            images * self.speed.assumptions.detections_bytes,
            self.experiment.resources.infer.threads,
        )

    def features(self, name: str) -> Price:
        """The feature cache of a detector."""
        ordering = self.experiment.ordering
        values = ordering.images * ordering.points * self.speed.assumptions.feature_values
        # A little less in truth: the maps alone are needed, not what the head makes of them.
        seconds = ordering.images * self._detection(name).seconds
        asked = self.experiment.resources.infer
        return Price(seconds, asked.gpus, 4 * values, asked.threads)

    def longest_orders(self) -> dict[str, tuple[str, ...]]:
        """For every chain, if the data orders any: as many of the slowest teachers as it may have.

        Where the settings decide them all, there is none.
        """
        experiment, members = self.experiment, all_members(self.experiment)
        if len(chains_of_runs(experiment, {})) == len(members):
            return {}
        training = experiment.detector_training(experiment.student.name)
        forward = {
            name: self.speed.ask("forward", self._workload(name, training)).seconds
            for name in experiment.teachers
        }
        slowest = tuple(sorted(forward, key=lambda name: (-forward[name], name)))
        orders = {}
        for member in members:
            run = run_of(experiment, member)
            most = 1 if run.order == "direct" else teachers_at_most(experiment, run)
            orders[member] = slowest[:most]
        return orders

    def _stage(self, method: str, stage: Stage) -> Price:
        experiment = self.experiment
        training = experiment.stage_training(method, stage.epochs)
        workload = self._workload(experiment.student.name, training)
        if stage.teacher is None:
            step = self.speed.ask("train_step", workload).seconds
            return self._model(workload, self._training_seconds(training, workload, step))
        chosen = experiment.method(method).losses
        losses = as_json([loss.model_dump(mode="json") for loss in chosen])
        teacher = workload.of_detector(experiment.detector(stage.teacher))
        step, once = self.speed.distillation_step(workload, teacher, losses), 0.0
        if self._keeps_maps(method):
            forward = self.speed.ask("forward", teacher).seconds
            step = max(step - forward, self.speed.ask("train_step", workload).seconds)
            once = self._steps(workload) * experiment.pipeline.sides * forward
        return self._model(workload, once + self._training_seconds(training, workload, step))

    def _keeps_maps(self, method: str) -> bool:
        """Whether a teacher's maps are computed once; False where that is not known."""
        experiment, sides = self.experiment, self.experiment.pipeline.sides
        if experiment.maps_not_kept(method) is not None or not self.images.one_size:
            return False
        width, height = self._image_size()
        positions = sum(ceil(width / stride) * ceil(height / stride) for stride in STRIDES)
        n_bytes = 2 * self.images.splits["train"] * sides * positions * CHANNELS
        return n_bytes <= experiment.method(method).teacher.cache_gb * 2**30

    def _detection(self, name: str) -> Answer:
        """Time of one image in an evaluation."""
        training = self.experiment.detector_training(name)
        workload = self._workload(name, training, self.experiment.resources.infer)
        return self.speed.ask("evaluation", workload.detection)

    def _training_seconds(self, training: Training, workload: Workload, step: float) -> float:
        """Steps of all epochs, and the validations."""
        epochs = training.epochs or ConfigName.of(workload.config).epochs
        validated = ceil(self.images.splits["val"] / self._devices)
        detection = self.speed.ask("evaluation", workload.detection).seconds
        validations = ceil(epochs / (training.validate_every or 1))
        return epochs * self._steps(workload) * step + validations * validated * detection

    def _steps(self, workload: Workload) -> int:
        """Of one epoch."""
        return ceil(self.images.splits["train"] / (workload.batch_size * self._devices))

    @property
    def _devices(self) -> int:
        """That train at once."""
        return max(1, self.experiment.resources.train.gpus)

    def _model(self, workload: Workload, seconds: float) -> Price:
        """A job that leaves weights behind."""
        n_bytes = 4 * self.speed.n_parameters(workload)
        asked = self.experiment.resources.train
        return Price(seconds, asked.gpus, n_bytes, asked.threads)

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


def _estimates(
    planned: Sequence[PlannedJob], prices: Mapping[str, Prices], awaited: Awaited
) -> list[Estimate]:
    jobs = _priced(planned, prices)
    shared = {job for one, job in zip(planned, jobs, strict=True) if one.experiment not in prices}
    found, later = [], dict[PricedJob, list[PricedJob]]()
    for name, of_experiment in prices.items():
        own = [job for one, job in zip(planned, jobs, strict=True) if one.experiment == name]
        needed = [other for job in own for other in job.after if other in shared]
        longest = _Longest(of_experiment, own, awaited)
        later |= {job: longest.jobs for job in own if job.task == Task("order")}
        every = (*own, *dict.fromkeys(needed), *longest.jobs)
        found.append(Estimate(name, every, longest.undecided, of_experiment.images))
    counted = {job for one in found for job in one.jobs}
    rest = [job for job in jobs if job in shared and job not in counted]
    if rest:
        # What waits for an order waits for the stages that it decides, too.
        found.append(Estimate(SHARED, tuple(_after_more(job, later) for job in rest)))
    return found


def _after_more(job: PricedJob, later: Mapping[PricedJob, Sequence[PricedJob]]) -> PricedJob:
    more = [one for other in job.after for one in later.get(other, ())]
    return replace(job, after=(*job.after, *more))


def _priced(planned: Sequence[PlannedJob], prices: Mapping[str, Prices]) -> list[PricedJob]:
    """Every job of the plan, at its place."""
    startups = {name: known.speed.startup_seconds for name, known in prices.items()}
    otherwise = Assumptions.load().startup_seconds
    found: dict[int, PricedJob] = {}

    def at(place: int) -> PricedJob:
        if place not in found:
            job = planned[place]
            known = prices.get(job.experiment)
            price = Price() if known is None else known.of(job.task)
            found[place] = PricedJob(
                job.task,
                job.product,
                startups.get(job.experiment, otherwise) + (0 if job.is_kept else price.seconds),
                _part_left(job),
                job.is_left,
                job.is_kept,
                price.gpus,
                tuple(at(other) for other in job.after),
                price.n_bytes,
                price.threads,
            )
        return found[place]

    return [at(place) for place in range(len(planned))]


class _Longest:
    """The most that runs without an order can need: they may have no stage in common.

    Runs that are alike in all that decides their stages will have the same ones. Of a plan whose
    orders are all known there is nothing to add.

    Args:
        prices: Of the experiment.
        own: Its jobs that are in the plan.
        awaited: What will be needed once the order is known.

    Attributes:
        jobs: That are not in the plan.
        undecided: Runs that they belong to.
    """

    def __init__(self, prices: Prices, own: Sequence[PricedJob], awaited: Awaited) -> None:
        self.jobs: list[PricedJob] = []
        self.undecided: tuple[str, ...] = ()
        self._prices = prices
        self._planned = {job.task: job for job in own}
        order = self._planned.get(Task("order"))
        if order is None or not order.is_left:
            return
        self._ordered = (order, *(job for job in own if job.rule == "evaluate_detector"))
        experiment, name = prices.experiment, prices.layout.experiment
        decided = chains_of_runs(experiment, {})
        alike: dict[tuple[Run, Chain], list[str]] = {}
        for member, chain in chains_of_runs(experiment, prices.longest_orders()).items():
            if member not in decided:
                alike.setdefault((run_of(experiment, member), chain), []).append(member)
        for (run, chain), members in alike.items():
            wanted = set(awaited(experiment, name, {members[0]: chain}))
            if self._add_chain(run.method, chain, wanted):
                self.undecided += tuple(members)
        # Tables come after everything that they may show.
        shown = (*own, *self.jobs)
        for task in awaited(experiment, name, {}):
            if task not in self._planned:
                self._add(task, shown)

    def _add_chain(self, method: str, chain: Chain, wanted: set[Task]) -> bool:
        """Add the stages of a chain as far as any is wanted; gives whether any is."""
        stages: list[tuple[Chain, Task, Task]] = []
        n_wanted = 0
        for prefix in chain.prefixes():
            names = (method, str(prefix))
            stages.append((prefix, Task("stage", names), Task("evaluate_stage", names)))
            if wanted.intersection(stages[-1][1:]):
                n_wanted = len(stages)
        last: PricedJob | None = None
        for prefix, stage, evaluation in stages[:n_wanted]:
            last = self._add(stage, self._before(method, prefix, last))
            if evaluation in wanted:
                self._add(evaluation, (last,))
        return n_wanted > 0

    def _before(self, method: str, chain: Chain, parent: PricedJob | None) -> list[PricedJob]:
        """Jobs that a stage waits for."""
        experiment, teacher = self._prices.experiment, chain.last.teacher
        tasks = []
        if parent is None and not starts_afresh(experiment, method, chain):
            tasks.append(Task("train", (experiment.student.name,)))
        if teacher is not None:
            tasks += [Task("train", (teacher,)), Task("check_pair", (method, teacher))]
        planned = [self._planned[task] for task in tasks if task in self._planned]
        return [*self._ordered, *planned, *([] if parent is None else [parent])]

    def _add(self, task: Task, after: Iterable[PricedJob]) -> PricedJob:
        price = self._prices.of(task)
        seconds = self._prices.speed.startup_seconds + price.seconds
        job = PricedJob(
            task,
            None,
            seconds,
            gpus=price.gpus,
            after=tuple(after),
            n_bytes=price.n_bytes,
            threads=price.threads,
        )
        self.jobs.append(job)
        return job


def _part_left(job: PlannedJob) -> float:
    """How much of a job is left: a training says itself how far it is."""
    if not job.is_left:
        return 0.0
    # Weights that are there and yet made again are made from something else.
    if job.task.rule not in ("train", "stage") or job.is_kept or job.product.exists():
        return 1.0
    try:
        progress = json.loads(ModelFolder(job.product.parent, job.product).progress.read_bytes())
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
    """Rule → jobs done, jobs left; rules come after those whose results they need."""
    every = Counter(job.rule for job in estimate.jobs)
    left = Counter(job.rule for job in estimate.left)
    before: dict[str, set[str]] = {rule: set() for rule in every}
    for job in estimate.jobs:
        before[job.rule].update(other.rule for other in job.after if other.rule != job.rule)
    rules = TopologicalSorter(before).static_order()
    return {rule: (every[rule] - left[rule], left[rule]) for rule in rules if rule in every}


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
    if n_kept := sum(job.is_kept for job in total(estimates).jobs):
        whose = "1 job takes its" if n_kept == 1 else f"{n_kept} jobs take their"
        lines.append(f"{whose} results from the store, in as long as a job needs to start.")
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
