"""The settings of one experiment: every key that its YAML may have, its type and default."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from mtpd.chains import MAX_LENGTH, NAME_PATTERN, NO_TEACHER
from mtpd.errors import UserError
from mtpd.settings.data import Data
from mtpd.settings.losses import IN_THE_HEAD, Loss
from mtpd.settings.machine import gpus_here
from mtpd.settings.values import (
    SettingError,
    Settings,
    Sha256,
    Text,
    UserFile,
    Values,
    as_text,
)


def _check_reserved(name: str) -> str:
    if name == NO_TEACHER:
        problem = f"'{NO_TEACHER}' is reserved for stages without teacher"
        raise SettingError("", problem, "choose another name")
    return name


Name = Annotated[
    str,
    Field(pattern=rf"^{NAME_PATTERN}$"),
    AfterValidator(_check_reserved),
    BeforeValidator(as_text),
]
Gpus = Annotated[
    int,
    BeforeValidator(lambda given: gpus_here() if given == "auto" else given),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "auto"}]}),
]
Pixels = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class ImagePipeline(Settings):
    """How images reach the detectors. Without ``size`` every detector keeps its own pipelines."""

    size: tuple[Pixels, Pixels] | None = Field(
        default=None,
        description="Longest and shortest side that images are fitted into, ratio kept",
    )
    scale: float = Field(
        default=1,
        gt=0,
        description="Factor on all image sizes of the detectors' own pipelines, for a trial",
    )
    flip: float = Field(default=0.5, ge=0, le=1, description="Probability of a horizontal flip")
    augment: Literal["light", "strong"] | None = Field(
        default=None,
        description="Crop, scale and colours of training images at random, beside the flip",
    )
    workers: int | None = Field(
        default=None,
        ge=0,
        description="Data-loading processes of a process; none: as many as it has threads if "
        "it has a GPU, otherwise 0",
    )

    @model_validator(mode="after")
    def _one_size(self) -> ImagePipeline:
        if self.size is not None and self.scale != 1:
            raise SettingError("scale", "changes the detectors' sizes", "give it or size, not both")
        if self.augment is not None and self.size is None:
            problem = "is for images of pipeline.size, and the detectors keep their own pipelines"
            raise SettingError("augment", problem, "give size, or take it out")
        return self

    @property
    def sides(self) -> int:
        """In how many ways an image is seen: as it is, flipped, or both."""
        return 1 if self.flip in (0, 1) else 2


class Training(Settings):
    """A training schedule. What is left out is as in the detector's own config."""

    epochs: int | None = Field(
        default=None, gt=0, description="Passes over the training images; of a method: of one stage"
    )
    batch_size: int | None = Field(default=None, gt=0, description="Images of one step on one GPU")
    lr_for_batch: int | None = Field(
        default=None,
        gt=0,
        description="Images of one step, all GPUs together, that the rate is meant for; given, the "
        "rate follows the batch linearly; none: the rate is as it stands",
    )
    optimizer: Values | None = Field(
        default=None, description="A torch optimiser: type, lr and its other arguments"
    )
    clip_grad_norm: float | None = Field(
        default=None, gt=0, description="Largest norm that all gradients together may have"
    )
    warmup_iterations: int | None = Field(
        default=None, ge=0, description="Steps in which the rate rises linearly to its full value"
    )
    decay_at: tuple[Fraction, ...] | None = Field(
        default=None, description="Fractions of the epochs after which the rate falls to a tenth"
    )
    amp: bool | None = Field(default=None, description="Mixed precision")
    validate_every: int | None = Field(
        default=None, gt=0, description="Epochs between validations; none: 1. The last has one"
    )

    def updated(self, other: Training) -> Training:
        """These settings with those of ``other`` that are set in their place."""
        return self.model_copy(update=other.model_dump(exclude_none=True))


class Detector(Settings):
    """A detector: an MMDetection config, and where its weights come from."""

    config: UserFile = Field(description="'mmdet::…' as MMDetection ships it, or a config file")
    options: Values = Field(
        default_factory=dict, description="Changes of the config, by dotted key"
    )
    weights: Annotated[UserFile, Field(min_length=1)] | None = Field(
        default=None,
        description="Trained weights: a file, an http(s) address, or 'zoo', what MMDetection "
        "publishes for the config; none: the workflow trains the detector",
    )
    start_from: Annotated[UserFile, Field(min_length=1)] | None = Field(
        default=None,
        description="As weights, but a training here starts from them; tensors that predict "
        "other classes are left out",
    )
    sha256: Sha256 | None = Field(default=None, description="Start of the weights' SHA-256")
    trusted: bool = Field(default=False, description="Load weights that are a full pickle")
    latency_ms: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Milliseconds for an image, for streaming accuracy; none: as measured here",
    )
    training: Training = Field(
        default=Training(), description="In place of the experiment's training, for this detector"
    )


class Student(Detector):
    """The detector that learns."""

    name: Name = Field(description="What its folder and its row are called")


class Saving(Settings):
    """When a training's state is saved, beside the end of every epoch, so that it can go on."""

    minutes: float | None = Field(default=10, gt=0, description="Time between two states")
    iterations: int | None = Field(default=None, gt=0, description="Iterations between two states")


class TeacherPass(Settings):
    """How a teacher's maps are computed in a stage."""

    precision: Literal["fp32", "bf16", "fp16"] | None = Field(
        default=None, description="Of the teacher's forward pass; none: as the student's"
    )
    stochastic_depth: bool = Field(
        default=False,
        description="Leave out residual branches at random, as the release of MTPD does with Swin",
    )
    channels_last: bool = Field(default=False, description="Keep channels innermost in memory")
    compile: bool = Field(default=False, description="By torch.compile; needs a C++ compiler")
    cache_gb: float = Field(
        default=4,
        ge=0,
        allow_inf_nan=False,
        description="GiB of the disk for teachers' maps, of all experiments together, where "
        "pipeline.size makes images of one size; 0: maps are computed anew in every epoch",
    )


class Method(Settings):
    """How a teacher teaches: the losses, the start of the first stage, a stage's schedule."""

    losses: tuple[Loss, ...] = Field(
        min_length=1, description="Summed, with the student's own loss"
    )
    start: Literal["baseline", "backbone", "inherit"] = Field(
        default="baseline",
        description=(
            "First stage: the trained student; its pretrained backbone alone; "
            "or that with the teacher's neck and head"
        ),
    )
    tap: Literal["after_norm", "before_norm"] = Field(
        default="after_norm",
        description="Where the necks' maps are taken that losses compare; before_norm as the "
        "release of MTPD does, which matters for necks with a norm",
    )
    training: Training = Field(
        default=Training(), description="Schedule of one stage, over that of the student"
    )
    teacher: TeacherPass = Field(
        default=TeacherPass(), description="How the teacher's maps are computed"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Method:
        if self.tap == "before_norm":
            of_head = [loss.type for loss in self.losses if loss.type in IN_THE_HEAD]
            if of_head:
                problem = f"before_norm is for a neck's losses, but {of_head[0]} works in the head"
                raise SettingError("tap", problem, f"leave out tap or {of_head[0]}")
            if self.teacher.compile:
                problem = "before_norm and teacher.compile cannot be used together"
                raise SettingError("tap", problem, "leave one of them out")
        return self

    @field_validator("losses")
    @classmethod
    def _each_once(cls, losses: tuple[Loss, ...]) -> tuple[Loss, ...]:
        kinds = [loss.type for loss in losses]
        twice = [kind for kind in dict.fromkeys(kinds) if kinds.count(kind) > 1]
        if twice:
            problem = f"'{twice[0]}' is listed twice, but a method may have each type of loss once"
            raise SettingError("", problem, "remove one")
        return losses


class Ordering(Settings):
    """How teachers are measured and ordered."""

    max_teachers: int | None = Field(default=None, gt=0, description="K; none: the whole pool")
    images: int = Field(default=128, ge=2, description="Calibration images, from the train split")
    points: int = Field(default=16, gt=0, description="Sample points per image and level")
    ridge: float = Field(default=1e-2, gt=0, description="Ridge relative to the mean variance")
    score: Literal["bbox_mAP", "segm_mAP"] = Field(
        default="bbox_mAP", description="Validation figure that ranks the teachers"
    )


Strategy = Literal[
    "bgs",
    "bgs-between",
    "direct",
    "ascending",
    "minimax",
    "exhaustive",
    "reversed",
    "random",
    "none",
]


def _as_order(value: Any) -> Any:
    """A list of teachers, or the name of a strategy."""
    if isinstance(value, list | tuple):
        names = tuple(as_text(name, str(number)) for number, name in enumerate(value))
        if not all(isinstance(name, str) for name in names):
            raise SettingError("", "has an item that is not a name", "list names of teachers")
        return names
    order, known = as_text(value), get_args(Strategy)
    if order not in known:
        problem = "is empty" if order is None else f"there is no order '{order}'"
        remedy = f"use one of: {', '.join(known)}; or a list of teachers"
        raise SettingError("", problem, remedy)
    return order


class Run(Settings):
    """One row of the table: a chain of teachers and the method that it is taught with."""

    method: Text = Field(description="Name of one of the methods")
    order: Annotated[Strategy | tuple[Text, ...], BeforeValidator(_as_order)] = Field(
        description="How the teachers are ordered, or their names; none: the student trains alone"
    )
    budget: Text | None = Field(
        default=None, description="A run whose epochs, all stages together, this one's stage gets"
    )
    max_teachers: int | None = Field(default=None, gt=0, description="K of this run alone")
    seeds: tuple[NonNegativeInt, ...] | None = Field(
        default=None,
        min_length=1,
        description="The stages are trained once from each; none: once, from the experiment's seed",
    )

    @field_validator("seeds")
    @classmethod
    def _no_seed_twice(cls, seeds: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if seeds is not None and len(set(seeds)) < len(seeds):
            raise SettingError("", "lists a seed twice", "remove one")
        return seeds


class Resources(Settings):
    """What one job asks the scheduler for."""

    threads: int = Field(default=1, gt=0, description="CPU threads")
    mem_mb: int = Field(default=4000, gt=0, description="Memory in MB")
    runtime: int = Field(default=60, gt=0, description="Minutes")
    gpus: Gpus = Field(
        default_factory=gpus_here,
        ge=0,
        description="More than one: a training, one process each; auto, the default: 1 if the "
        "machine that the workflow is started on has any, otherwise 0",
    )


class JobResources(Settings):
    """Resources by kind of job."""

    train: Resources = Field(
        default_factory=Resources, description="Teachers, the student's baseline, stages"
    )
    infer: Resources = Field(
        default_factory=Resources, description="Features, evaluations, checks before training"
    )
    small: Resources = Field(
        default_factory=lambda: Resources(mem_mb=2000, runtime=30),
        description="Data, costs, orders, tables; left out altogether: 2000 MB and 30 minutes",
    )


class Experiment(Settings):
    """One experiment."""

    description: Text = Field(default="", description="For readers; nothing follows from it")
    seed: int = Field(default=0, ge=0, description="Of all trainings, samples and random orders")
    data: Data = Field(description="The data set, the same for all detectors")
    pipeline: ImagePipeline = Field(
        default=ImagePipeline(), description="Image size, flips and data loading"
    )
    training: Training = Field(
        default=Training(), description="Schedule of every training, unless a part says otherwise"
    )
    student: Student = Field(description="The detector that learns")
    teachers: dict[Name, Detector] = Field(
        min_length=1, description="The detectors that may teach, in any order"
    )
    ordering: Ordering = Field(
        default=Ordering(), description="How teachers are measured and ordered"
    )
    methods: dict[Name, Method] = Field(
        default_factory=dict, description="The ways to teach that runs may name"
    )
    runs: dict[Name, Run] = Field(default_factory=dict, description="The rows of the table")
    resources: JobResources = Field(
        default_factory=JobResources, description="What jobs ask for: threads, memory, time, GPUs"
    )
    saving: Saving = Field(
        default=Saving(), description="When a training saves the state from which it can go on"
    )

    @model_validator(mode="after")
    def _names_agree(self) -> Experiment:
        if self.student.name in self.teachers:
            problem = f"'{self.student.name}' is also a teacher"
            raise SettingError("student.name", problem, "rename one")
        if len("+".join(self.teachers)) > MAX_LENGTH:
            raise SettingError(
                "teachers",
                f"names are longer than {MAX_LENGTH} characters together, and a chain of all of "
                "them names a folder",
                "give shorter names",
            )
        _check_pool(self.ordering.max_teachers, len(self.teachers), "ordering.max_teachers")
        for name, run in self.runs.items():
            self._check_run(f"runs.{name}", run)
        return self

    def _check_run(self, where: str, run: Run) -> None:
        _check_known(run.method, self.methods, f"{where}.method", "method")
        _check_pool(run.max_teachers, len(self.teachers), f"{where}.max_teachers")
        if not isinstance(run.order, str):
            if not run.order:
                remedy = "name at least one teacher, or 'none'"
                raise SettingError(f"{where}.order", "is empty", remedy)
            for teacher in run.order:
                _check_known(teacher, self.teachers, f"{where}.order", "teacher")
        if run.budget is None:
            return
        _check_known(run.budget, self.runs, f"{where}.budget", "run")
        if self.stage_training(self.runs[run.budget].method, None).epochs is None:
            problem = f"is missing, but {where}.budget counts epochs"
            raise SettingError("training.epochs", problem, "add training.epochs")
        if self.runs[run.budget].budget is not None:
            raise SettingError(
                f"{where}.budget",
                f"'{run.budget}' takes its own budget from another run",
                "name a run without budget",
            )
        if not (run.order in ("direct", "none") or len(run.order) == 1):
            raise SettingError(
                f"{where}.budget",
                "the order may have several stages",
                "give a budget to a run of one stage only: direct, none, or one teacher",
            )

    def detector(self, name: str) -> Detector:
        """The student or the teacher called ``name``.

        Raises:
            UserError: There is none.
        """
        if name == self.student.name:
            return self.student
        if name not in self.teachers:
            raise UserError(name, "is not a detector of the experiment", _one_of(self.detectors))
        return self.teachers[name]

    def method(self, name: str) -> Method:
        """The method called ``name``.

        Raises:
            UserError: There is none.
        """
        if name not in self.methods:
            raise UserError(name, "is not a method of the experiment", _one_of(self.methods))
        return self.methods[name]

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of all detectors, the student first."""
        return (self.student.name, *self.teachers)

    def detector_training(self, name: str) -> Training:
        """The schedule by which the detector ``name`` is trained without teacher."""
        return self.training.updated(self.detector(name).training)

    def maps_not_kept(self, method: str) -> str | None:
        """Why the settings do not let a teacher's maps be kept; None: they do."""
        teacher = self.method(method).teacher
        if teacher.cache_gb == 0:
            return "teacher.cache_gb is 0"
        if teacher.stochastic_depth:
            return "its stochastic depth is on, so its maps differ every time"
        if self.pipeline.augment is not None:
            return "pipeline.augment changes images at random"
        if self.pipeline.size is None:
            return (
                "the detectors' own pipelines change images at random (there is no pipeline.size)"
            )
        return None

    def stage_training(self, method: str, epochs: int | None) -> Training:
        """The schedule of one stage of ``method``; ``epochs`` takes the place of its own.

        Raises:
            UserError: There is no such method.
        """
        student = self.training.updated(self.student.training)
        settings = student.updated(self.method(method).training)
        return settings if epochs is None else settings.updated(Training(epochs=epochs))


def _check_known(name: str, known: dict[str, Any], where: str, kind: str) -> None:
    if name not in known:
        raise SettingError(where, f"there is no {kind} '{name}'", _one_of(known))


def _one_of(names: Iterable[str]) -> str:
    return f"use one of: {', '.join(names) or 'none'}"


def _check_pool(count: int | None, pool: int, where: str) -> None:
    if count is not None and count > pool:
        problem = f"is {count}, but there are {pool} teachers"
        raise SettingError(where, problem, f"give at most {pool}")
