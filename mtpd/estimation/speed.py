"""How long a step of a detector takes: measured by ``mtpd calibrate``, or else assumed.

A :class:`Workload` is all that decides it. Names do not: a detector may be renamed, or appear in
another experiment, and what was measured still holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, FiniteFloat, PositiveFloat, PositiveInt, ValidationError

from mtpd.errors import UserError
from mtpd.estimation.config_names import ConfigName
from mtpd.files import whole_file
from mtpd.settings.experiment import Detector
from mtpd.settings.values import Settings

Kind = Literal["train_step", "forward", "distillation_step", "evaluation"]
"""A training step; a teacher up to its neck; a student's step with a teacher; a test image."""

Device = Literal["cuda", "cpu"]
Size = tuple[PositiveInt, PositiveInt]

HEADER = "# Measured by `mtpd calibrate`, read by `mtpd estimate` and by Snakemake's dry run.\n"


class Parameters(Settings):
    """Millions of parameters: with a ResNet-50, and what another backbone adds."""

    detectors: dict[str, PositiveFloat]
    backbones: dict[str, FiniteFloat]


class Assumptions(Settings):
    """The numbers of ``assumptions.yaml``, which says what each is and where it is from."""

    image_size: Size
    device: str
    detectors: dict[str, PositiveFloat]
    default_detector: str
    backbones: dict[str, FiniteFloat]
    default_backbone: str
    deformable: PositiveFloat
    amp: PositiveFloat
    train_step: PositiveFloat
    cpu_thread: PositiveFloat
    startup_seconds: PositiveFloat
    fork_seconds: PositiveFloat
    parameters: Parameters
    detections_bytes: PositiveInt
    feature_values: PositiveInt

    @classmethod
    @cache
    def load(cls) -> Assumptions:
        """Read the file beside this module."""
        text = files("mtpd.estimation").joinpath("assumptions.yaml").read_text(encoding="utf-8")
        return cls.model_validate(_parse(text))

    def forward_seconds(self, workload: Workload) -> float:
        """One image of ``workload`` through its detector."""
        name = ConfigName.of(workload.config)
        milliseconds = self.detectors[self._detector(name)] + self.backbones[self._backbone(name)]
        if name.is_deformable:
            milliseconds += self.deformable
        pixels = _pixels(workload.image_size) / _pixels(self.image_size)
        seconds = milliseconds / 1000 * pixels * name.width**2
        if workload.amp:
            seconds *= self.amp
        return seconds * (self.cpu_thread / workload.threads if workload.device == "cpu" else 1)

    def n_parameters(self, config: str) -> float:
        """Parameters of the detector of ``config``."""
        name, table = ConfigName.of(config), self.parameters
        millions = table.detectors[self._detector(name)] + table.backbones[self._backbone(name)]
        return 1e6 * millions * name.width**2

    def is_known(self, config: str) -> bool:
        """Whether the config's name says what detector it is."""
        name = ConfigName.of(config)
        return None not in (name.first_of(self.detectors), name.first_of(self.backbones))

    def _detector(self, name: ConfigName) -> str:
        return name.first_of(self.detectors) or self.default_detector

    def _backbone(self, name: ConfigName) -> str:
        return name.first_of(self.backbones) or self.default_backbone


@dataclass(frozen=True)
class Workload:
    """All that the time of a step depends on.

    Attributes:
        config: Of the detector, as an experiment names it.
        options: Its changes, as JSON.
        image_size: Longest and shortest side in pixels.
        batch_size: Images of one step on one device.
        amp: Mixed precision.
        device: Where it runs.
        threads: Of a CPU; 0 on a GPU.
        teacher: For a step of distillation: the teacher's config and options, and the losses, as
            JSON. Otherwise empty.
    """

    config: str
    options: str
    image_size: tuple[int, int]
    batch_size: int
    amp: bool
    device: Device
    threads: int
    teacher: str = ""

    @property
    def pixels(self) -> int:
        """Of all images of one step."""
        return self.batch_size * _pixels(self.image_size)

    def of_detector(self, detector: Detector) -> Workload:
        """The same images through another detector."""
        return replace(self, config=detector.config, options=as_json(detector.options))

    @property
    def detection(self) -> Workload:
        """The detector alone as it is evaluated: an image at a time, in full precision."""
        return replace(self, batch_size=1, amp=False, teacher="")


class Measurement(Settings):
    """What was measured of one workload: the median of a few steps, in seconds."""

    config: str
    options: dict[str, Any] = Field(default_factory=dict)
    teacher: dict[str, Any] = Field(default_factory=dict)
    image_size: Size
    batch_size: PositiveInt
    amp: bool
    device: Device
    threads: int = Field(ge=0)
    device_name: str
    torch: str
    date: str
    parameters: PositiveInt
    seconds: dict[Kind, PositiveFloat]

    @property
    def workload(self) -> Workload:
        """What the seconds are of."""
        return Workload(
            self.config,
            as_json(self.options),
            self.image_size,
            self.batch_size,
            self.amp,
            self.device,
            self.threads,
            as_json(self.teacher) if self.teacher else "",
        )


class Calibration(Settings):
    """What ``mtpd calibrate`` has measured, on whatever devices."""

    measurements: tuple[Measurement, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read what :meth:`save` wrote; empty if there is no such file.

        Raises:
            UserError: The file cannot be read or is not a calibration.
        """
        remedy = "correct it, or delete it and run mtpd calibrate"
        try:
            return cls.model_validate(_parse(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise UserError(path, f"cannot be read ({error.strerror})", remedy) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(path, f"is not YAML ({error})", remedy) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(key) for key in first["loc"])
            raise UserError(f"{path}: {where}", first["msg"].lower(), remedy) from error

    def save(self, path: Path) -> None:
        """Write as YAML for people."""
        with whole_file(path) as temporary:
            text = yaml.safe_dump(
                self.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=100
            )
            temporary.write_text(HEADER + text, encoding="utf-8")

    def updated(self, new: Iterable[Measurement]) -> Calibration:
        """These measurements, those of the same workloads replaced by ``new``."""
        found = {item.workload: item for item in (*self.measurements, *new)}
        return Calibration(measurements=tuple(found.values()))


@dataclass(frozen=True)
class Answer:
    """How long something takes, and how that is known.

    Attributes:
        seconds: Of one step, or of one image in an evaluation.
        source: ``scaled``: measured with other numbers of images or pixels.
        device_name: Where it was measured, or what was assumed.
    """

    seconds: float
    source: Literal["measured", "scaled", "assumed"]
    device_name: str


class Speed:
    """Answers how long steps take, and remembers what it was asked.

    Attributes:
        startup_seconds: Until a job does its own work.
        answers: Of every question so far.
        pairs: Every step of distillation asked for, measured or not.
    """

    def __init__(self, calibration: Calibration, *, forked: bool = False) -> None:
        """``calibration`` is what was measured; ``forked`` says that jobs are forks."""
        self.assumptions = assumed = Assumptions.load()
        self.startup_seconds = assumed.fork_seconds if forked else assumed.startup_seconds
        self.answers: dict[tuple[Kind, Workload], Answer] = {}
        self.pairs: dict[Workload, None] = {}
        self._calibration = calibration

    def ask(self, kind: Kind, workload: Workload) -> Answer:
        """Time of a step of ``kind``."""
        question = (kind, workload)
        if question not in self.answers:
            self.answers[question] = self._measured(*question) or self._assumed(*question)
        return self.answers[question]

    def distillation_step(self, student: Workload, teacher: Workload, losses: str) -> float:
        """Seconds of a student's step with a teacher's forward pass.

        Measured as a whole, or else the sum of both: benchmarks/distillation_step.py has found
        0.98 to 1.00 of it.
        """
        pair = with_teacher(student, teacher, losses)
        self.pairs[pair] = None
        whole = self._measured("distillation_step", pair)
        if whole is not None:
            self.answers["distillation_step", pair] = whole
            return whole.seconds
        return self.ask("train_step", student).seconds + self.ask("forward", teacher).seconds

    def n_parameters(self, workload: Workload) -> float:
        """Parameters of the detector."""
        known = self._by_detector.get((workload.config, workload.options))
        return known or self.assumptions.n_parameters(workload.config)

    @cached_property
    def _by_detector(self) -> dict[tuple[str, str], int]:
        found = [(item.workload, item.parameters) for item in self._calibration.measurements]
        return {(load.config, load.options): number for load, number in found}

    @cached_property
    def _by_workload(self) -> dict[Workload, Measurement]:
        return {item.workload: item for item in self._calibration.measurements}

    @cached_property
    def _by_shape(self) -> dict[tuple[Kind, Workload], Measurement]:
        """The last measurement of every kind of step, whatever the images."""
        return {
            (kind, _shapeless(workload)): item
            for workload, item in self._by_workload.items()
            for kind in item.seconds
        }

    def _measured(self, kind: Kind, workload: Workload) -> Answer | None:
        exact = self._by_workload.get(workload)
        if exact is not None and kind in exact.seconds:
            return Answer(exact.seconds[kind], "measured", exact.device_name)
        like = self._by_shape.get((kind, _shapeless(workload)))
        if like is None:
            return None
        factor = workload.pixels / like.workload.pixels
        return Answer(factor * like.seconds[kind], "scaled", like.device_name)

    def _assumed(self, kind: Kind, workload: Workload) -> Answer:
        seconds = workload.batch_size * self.assumptions.forward_seconds(workload)
        if kind == "train_step":
            seconds *= self.assumptions.train_step
        names = {"cuda": self.assumptions.device, "cpu": "CPU"}
        return Answer(seconds, "assumed", names[workload.device])


def with_teacher(student: Workload, teacher: Workload, losses: str) -> Workload:
    """The student's workload in a step of distillation; ``losses`` is JSON."""
    described = {
        "config": teacher.config,
        "options": json.loads(teacher.options),
        "losses": json.loads(losses),
    }
    return replace(student, teacher=as_json(described))


def as_json(value: Any) -> str:
    """The same text for equal values."""
    return json.dumps(value, sort_keys=True, default=str)


def _shapeless(workload: Workload) -> Workload:
    return replace(workload, image_size=(1, 1), batch_size=1)


def _pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _parse(text: str) -> Any:
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
