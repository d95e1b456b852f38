"""Which student, teachers and schedule suit a data set and a machine.

On a CPU the shipped small detectors learn from nothing, by the schedule that
config/experiments/bccd.yaml has for 205 images. On a GPU MMDetection's RetinaNets start from their
COCO weights, by MMDetection's own optimiser. Every number that is chosen here has its reason, which
stands beside it in the YAML.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, log2
from typing import Any

from mtpd.intake.choice import SHIPPED, Choice, with_own_names
from mtpd.intake.machine import Machine
from mtpd.intake.survey import Sizes, Survey
from mtpd.zoo.metafiles import published

SMALL_STUDENT = "retinanet_r18_w16"
SMALL_TEACHERS = ("retinanet_regnet_w24", "retinanet_r18_w32", "retinanet_r34_w32")
USUAL_STUDENT = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
USUAL_TEACHERS = (
    "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py",
    "mmdet::retinanet/retinanet_r101_fpn_1x_coco.py",
    "mmdet::retinanet/retinanet_x101-64x4d_fpn_1x_coco.py",
)

FROM_NOTHING = {
    "model.backbone.init_cfg": None,
    "model.backbone.frozen_stages": -1,
    "model.backbone.norm_eval": False,
}
"""Options of a ResNet that has no pretrained weights: then all of it must learn."""

TEACHERS_LONGER = 1.2
STAGE_SHORTER = 0.6
"""Epochs of a teacher and of a stage over the student's, as in bccd.yaml."""

MOST_VALIDATIONS = 12


@dataclass(frozen=True)
class Pretrained:
    """What can be had of what others have trained, by ``mmdet::`` config.

    Attributes:
        why_not: Why a detector's published weights cannot be had, or None.
        why_no_backbone: Why those that its config names for its backbone cannot, or None.
    """

    why_not: Callable[[str], str | None]
    why_no_backbone: Callable[[str], str | None]


@dataclass(frozen=True)
class Scale:
    """What depends on whether there is a GPU.

    Attributes:
        iterations: Of the student's training.
        epochs: At least and at most.
        long_side: Of the images, at least and at most, in pixels.
        small_box: Side that nine of ten boxes should reach, in pixels.
        batch_size: Images of a step at most.
        step: That image sizes are multiples of, as detectors pad to it.
    """

    iterations: int
    epochs: tuple[int, int]
    long_side: tuple[int, int]
    small_box: float
    batch_size: int
    step: int = 32


ON_CPU = Scale(500, (8, 60), (320, 512), 10, 8)
ON_GPU = Scale(3000, (12, 60), (640, 1333), 24, 16)

IMAGE_GB = 2.5
"""GiB that a training takes for an image of 1333x800 where no metafile says it."""
FULL_PIXELS = 1333 * 800
USED_MEMORY = 0.7
"""Part of a GPU's memory that a batch is made for."""


@dataclass(frozen=True)
class Wishes:
    """What the user has decided; None or empty: it is proposed."""

    student: Choice | None = None
    teachers: tuple[Choice, ...] = ()
    size: tuple[int, int] | None = None
    seed: int = 0


@dataclass
class Proposal:
    """An experiment that can be written.

    Attributes:
        settings: Of the experiment, without ``data``.
        reasons: By dotted key.
        remarks: What the user must know.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def set(self, dotted: str, value: Any, reason: str = "") -> None:
        """Set a value and say why."""
        *parents, last = dotted.split(".")
        place = self.settings
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
        if reason:
            self.reasons[dotted] = reason


def propose(
    found: Survey,
    machine: Machine,
    wishes: Wishes,
    pretrained: Pretrained,
    *,
    factor: float = 1,
    why_factor: str = "",
) -> Proposal:
    """Settings of an experiment on ``found``.

    Args:
        found: The data set.
        machine: Where it runs.
        wishes: What the user has decided.
        pretrained: Tells which published weights can be had.
        factor: On the number of epochs, where a budget of time decides it.
        why_factor: The budget, in words.
    """
    proposal, scale = Proposal(), ON_GPU if machine.gpus else ON_CPU
    images = found.splits["train"].images
    student, teachers = detectors(machine, wishes)
    if wishes.seed:
        proposal.set("seed", wishes.seed, "as asked for")
    size = _size(proposal, found.sizes, scale, wishes.size)
    batch = _batch(proposal, images, machine, (student, *teachers), size)
    per_epoch = ceil(images / (batch * max(1, machine.gpus)))
    epochs = _epochs(scale, per_epoch, factor)
    _training(proposal, machine, epochs, per_epoch, why_factor or _why_epochs(scale, per_epoch))
    _student_and_teachers(proposal, student, teachers, epochs, pretrained)
    _ordering(proposal, images, len(teachers))
    _method_and_runs(proposal, machine, epochs)
    _resources(proposal, machine)
    if found.has_masks:
        small = "mask_rcnn_r18_w16 --teachers mask_rcnn_r34_w32,cascade_mask_rcnn_r34_w32"
        named = "a Mask R-CNN, and such --teachers" if machine.gpus else small
        proposal.remarks.append(
            f"every object has a mask, and these detectors find boxes; for masks: --student {named}"
        )
    return proposal


def detectors(machine: Machine, wishes: Wishes) -> tuple[Choice, list[Choice]]:
    """Student and teachers, those that were asked for and otherwise the usual ones."""
    small = [f"{SHIPPED}/{name}.py" for name in (SMALL_STUDENT, *SMALL_TEACHERS)]
    student, *others = [USUAL_STUDENT, *USUAL_TEACHERS] if machine.gpus else small
    chosen = wishes.student or _usual(student)
    teachers = list(wishes.teachers) or [_usual(one) for one in others if one != chosen.config]
    return chosen, with_own_names(teachers, frozenset({chosen.name}))


def _usual(config: str) -> Choice:
    stem = config.rpartition("/")[2].removesuffix(".py")
    return Choice(stem.partition("_fpn")[0], config)


def _size(
    proposal: Proposal, sizes: Sizes, scale: Scale, wished: tuple[int, int] | None
) -> tuple[int, int]:
    if wished is not None:
        size, reason = (max(wished), min(wished)), "as asked for"
    else:
        long, reason = _long_side(sizes, scale)
        size = long, min(long, max(scale.step, round(long * sizes.aspect)))
    proposal.set("pipeline.size", list(size), reason)
    return size


def _long_side(sizes: Sizes, scale: Scale) -> tuple[int, str]:
    least, most = scale.long_side
    own = f"images are {sizes.long_side} pixels long (median)"
    start = min(max(sizes.long_side, scale.step), most)
    usual = start if start < least else least
    needed = scale.small_box / sizes.small_box if sizes.small_box > 0 else most
    long = min(max(usual, needed), most)
    rounded = ceil(long / scale.step) * scale.step if long < most else most
    box = sizes.small_box * rounded
    reason = f"{own}; nine of ten boxes get a side of {box:.0f} or more"
    return rounded, reason


def _batch(
    proposal: Proposal,
    images: int,
    machine: Machine,
    choices: tuple[Choice, ...],
    size: tuple[int, int],
) -> int:
    """Images of one step on one GPU."""
    batch, reason = min(ON_CPU.batch_size, max(2, images // 4)), "usual for small detectors"
    if machine.gpus:
        need = max(map(_image_gb, choices)) * size[0] * size[1] / FULL_PIXELS
        fits = 2 ** int(log2(max(1, USED_MEMORY * machine.gpu_memory_gb / need)))
        batch = min(ON_GPU.batch_size // machine.gpus or 1, fits, max(2, images // 4))
        reason = f"about {need:.1f} GiB an image for the largest teacher, of {machine.words}"
    if images < 4 * ON_CPU.batch_size:
        reason = f"so that an epoch of {images} images has a few steps"
    # A last batch of one image has no statistics for a batch norm to learn from.
    while batch > 2 and images % batch == 1:
        batch -= 1
    proposal.set("training.batch_size", batch, reason)
    return batch


def _image_gb(choice: Choice) -> float:
    """GiB that a training takes for an image of 1333x800, as MMDetection's metafiles say."""
    record = published().records.get(choice.config)
    if record is None or record.memory_gb is None:
        return IMAGE_GB
    return record.memory_gb / 2  # of a batch of two


def _epochs(scale: Scale, per_epoch: int, factor: float) -> int:
    least, most = scale.epochs
    usual = min(most, max(least, ceil(scale.iterations / per_epoch)))
    return max(1, round(usual * factor))


def _why_epochs(scale: Scale, per_epoch: int) -> str:
    least, most = scale.epochs
    return (
        f"{per_epoch} steps each; about {scale.iterations} steps, "
        f"and between {least} and {most} epochs"
    )


def _training(
    proposal: Proposal, machine: Machine, epochs: int, per_epoch: int, why_epochs: str
) -> None:
    steps = epochs * per_epoch
    proposal.set("training.epochs", epochs, why_epochs)
    if machine.gpus:
        optimizer = {"type": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 0.0001}
        proposal.set("training.optimizer", optimizer, "MMDetection's for RetinaNet")
        proposal.set("training.lr_for_batch", 16, "images of a step that the rate is meant for")
        proposal.set("training.clip_grad_norm", 35, "as the authors of MTPD clip")
        proposal.set("training.amp", True, "half the memory, and faster")
        proposal.set("training.decay_at", [0.67, 0.92], "8 and 11 of 12, MMDetection's schedule")
    else:
        optimizer = {"type": "AdamW", "lr": 0.001, "weight_decay": 0.05, "fused": True}
        proposal.set("training.optimizer", optimizer, "for a start from nothing, as in bccd.yaml")
        proposal.set("training.clip_grad_norm", 10, "the first steps are wild without")
        proposal.set("training.decay_at", [0.7, 0.9], "the rate falls to a tenth, twice")
    warmup = max(1, min(500 if machine.gpus else 50, steps // 10))
    proposal.set("training.warmup_iterations", warmup, "a tenth of the training at most")
    every = ceil(epochs / MOST_VALIDATIONS)
    if every > 1:
        reason = f"{ceil(epochs / every)} validations in a training"
        proposal.set("training.validate_every", every, reason)


def _student_and_teachers(
    proposal: Proposal,
    student: Choice,
    teachers: list[Choice],
    epochs: int,
    pretrained: Pretrained,
) -> None:
    longer = ceil(epochs * TEACHERS_LONGER)
    missing: dict[str, list[str]] = {}
    proposal.set("student.name", student.name)
    for choice, key in ((student, "student"), *((one, f"teachers.{one.name}") for one in teachers)):
        for name, value in choice.settings().items():
            proposal.set(f"{key}.{name}", value)
        if choice.weights is not None:
            proposal.reasons[f"{key}.weights"] = "trained already, and not trained again"
        elif choice.is_published:
            reason = _start(proposal, key, choice.config, pretrained)
            if reason is not None:
                missing.setdefault(reason, []).append(choice.name)
        elif choice is not student and not student.is_published:
            why = f"{TEACHERS_LONGER:g} times the student's: they have more to learn"
            proposal.set(f"{key}.training.epochs", longer, why)
    for reason, names in missing.items():
        proposal.remarks.append(f"no COCO weights for {', '.join(names)}: {reason}")


def _start(proposal: Proposal, key: str, config: str, pretrained: Pretrained) -> str | None:
    """What an ``mmdet::`` detector starts from; gives why it is not what is best."""
    reason = pretrained.why_not(config)
    if reason is None:
        why = "COCO weights; what predicts other classes is left out"
        proposal.set(f"{key}.start_from", "zoo", why)
        return None
    if pretrained.why_no_backbone(config) is None:
        proposal.reasons[f"{key}.config"] = "its backbone starts from ImageNet weights"
        return f"{reason}; they start from their pretrained backbones"
    why = "nothing pretrained could be had, so all of the backbone learns"
    proposal.set(f"{key}.options", dict(FROM_NOTHING), why)
    return (
        f"{reason}; they learn from nothing, which needs many images and epochs. "
        "With a network, run mtpd init again"
    )


def _ordering(proposal: Proposal, images: int, teachers: int) -> None:
    most = min(2, teachers)
    why = "teachers of a chain at most; each is another stage"
    proposal.set("ordering.max_teachers", most, why)
    calibration = max(2, min(128, images))
    proposal.set("ordering.images", calibration, "from train, to compare features on")


def _method_and_runs(proposal: Proposal, machine: Machine, epochs: int) -> None:
    loss: dict[str, Any] = {"type": "cwd"}
    why = "channel-wise distillation of the necks, weighted as published"
    if not machine.gpus:
        loss |= {"weight": 10, "temperature": 1}
        why = "channel-wise distillation of the necks, weighted as in bccd.yaml"
    proposal.set("methods.cwd.losses", [loss], why)
    stage = max(1, ceil(epochs * STAGE_SHORTER))
    why = f"a stage: {STAGE_SHORTER:g} of the student's own, with which it has begun"
    proposal.set("methods.cwd.training.epochs", stage, why)
    run = {"method": "cwd", "order": "bgs"}
    proposal.set("runs.progressive", run, "one teacher after the other, in the order found")
    for name, order, why in (
        ("direct-same-budget", "direct", "the strongest teacher alone, for as many epochs"),
        ("no-teacher-same-budget", "none", "no teacher, for as many epochs"),
    ):
        proposal.set(
            f"runs.{name}", {"method": "cwd", "order": order, "budget": "progressive"}, why
        )


def _resources(proposal: Proposal, machine: Machine) -> None:
    """Of a job: four detectors can be trained at once, where there is no GPU to wait for."""
    why = f"for {machine.words}; a cluster is asked for these MiB and minutes too"
    if machine.gpus:
        threads = max(1, min(8, machine.cores // 2))
        train = {"threads": threads, "mem_mb": 16000, "runtime": 1440, "gpus": machine.gpus}
        infer = {"threads": max(1, threads // 2), "mem_mb": 8000, "runtime": 120, "gpus": 1}
        proposal.set("resources.train", train, why)
        proposal.set("resources.infer", infer)
        return
    threads = max(1, machine.cores // 4)
    train = {"threads": threads, "mem_mb": 4000, "runtime": 720, "gpus": 0}
    proposal.set("resources.train", train, why)
    proposal.set("resources.infer", {**train, "runtime": 120})
