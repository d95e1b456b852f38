"""The distiller: one MMEngine model that holds a student and its frozen teacher."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from mmcv.cnn.bricks import DropPath
from mmdet.registry import MODELS
from mmdet.utils import reduce_mean
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from torch import Tensor, nn

from mtpd.detectors.feature_maps import NeckTap
from mtpd.detectors.weights import load_weights
from mtpd.distillation.features import Features, GroundTruth, Predictions
from mtpd.distillation.heads import DenseHeadAdapter, adapter_of
from mtpd.distillation.losses import build_loss
from mtpd.distillation.normalisation import Renormalise
from mtpd.distillation.pairing import Anatomy, Side, anatomy_of, pair
from mtpd.distillation.start import inherit
from mtpd.distillation.teacher_maps import Maps, TeacherMaps
from mtpd.distillation.towers import OutputTap, TowerTap
from mtpd.errors import UserError

Start = Literal["weights", "backbone", "inherit"]
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@MODELS.register_module()
class Distiller(BaseModel):
    """Adds distillation losses between the detectors' features to the student's own losses.

    The teacher runs in eval mode, outside autograd, and only as far as its neck, or its dense head
    where a loss looks there; the student's maps are caught in its own forward pass. It stands
    beside the model and is no part of it: it goes to the same device, but is in no checkpoint,
    optimiser or average, and several processes do not exchange it. In ``predict`` and ``tensor``
    mode the distiller is the student.

    Args:
        student: MMDetection model config of the student.
        teacher: The same for the teacher.
        losses: Settings of the losses (see :mod:`mtpd.settings.losses`).
        teacher_weights: Checkpoint of the teacher; must fit in every tensor.
        student_weights: Checkpoint that the student starts from if ``start`` is ``weights``.
        start: ``weights``; ``backbone``: as the student's own config initialises it; ``inherit``:
            as ``backbone``, then neck and head from the teacher where they fit.
        teacher_precision: Of the teacher's pass: ``fp32``, ``bf16`` or ``fp16``; None: as the
            student's.
        stochastic_depth: Let the teacher leave out residual branches at random, as in training.
        before_norm: Compare what the necks' convolutions give, before their norm.
        channels_last: Keep the teacher's channels innermost in memory.
        compile: Compile the teacher's pass.
        teacher_maps: Arguments of :class:`TeacherMaps`, which keeps what the teacher's neck gives;
            None: the teacher sees every batch.
        anatomies: What is known of student and teacher (see :class:`Anatomy`); None: each is looked
            at in a small forward pass.
    """

    def __init__(
        self,
        student: dict[str, Any],
        teacher: dict[str, Any],
        losses: Sequence[dict[str, Any]],
        teacher_weights: str | None = None,
        student_weights: str | None = None,
        start: Start = "weights",
        teacher_precision: str | None = None,
        stochastic_depth: bool = False,
        before_norm: bool = False,
        channels_last: bool = False,
        compile: bool = False,  # noqa: A002  as torch and the setting call it
        teacher_maps: dict[str, Any] | None = None,
        anatomies: tuple[dict[str, Any], dict[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.student = MODELS.build(student)
        self.data_preprocessor = self.student.data_preprocessor
        # In a tuple: torch takes a module that is an attribute for a part of this one.
        self._beside = (MODELS.build(teacher).requires_grad_(False).eval(),)
        if stochastic_depth:
            for module in self.teacher.modules():
                if isinstance(module, DropPath):
                    module.train()
        if channels_last:
            self.teacher.to(memory_format=torch.channels_last)
        self._neck_of = self.teacher.extract_feat
        if compile:
            self._neck_of = torch.compile(self._neck_of)
        self._teacher_precision = (
            None if teacher_precision is None else PRECISIONS[teacher_precision]
        )
        self._teacher_maps = None if teacher_maps is None else TeacherMaps(**teacher_maps)
        self.renormalise = Renormalise(self.data_preprocessor, self.teacher.data_preprocessor)
        self.student_weights, self.teacher_weights = student_weights, teacher_weights
        self.start = start

        adapters = adapter_of(self.student), adapter_of(self.teacher)
        own, others = (
            anatomy_of(detector, adapter) if known is None else Anatomy.from_json(known)
            for detector, adapter, known in zip(
                (self.student, self.teacher), adapters, anatomies or (None, None), strict=True
            )
        )
        self.pair = pair(own, others, names=("student", "teacher"))
        self.losses = nn.ModuleList(build_loss(settings, self.pair) for settings in losses)
        self.loss_names = [f"loss_distill_{loss.settings.type}" for loss in self.losses]
        self._tap = NeckTap(self.student, before_norm)
        self._teacher_tap = NeckTap(self.teacher, before_norm) if before_norm else None
        self._heads: tuple[DenseHeadAdapter, DenseHeadAdapter] | None = None
        of_head = [loss.settings.type for loss in self.losses if loss.works_in_head]
        if before_norm and of_head:
            problem = f"maps before the norm are for a neck's losses, but {of_head[0]} needs a head"
            raise UserError("before_norm", problem, f"leave out before_norm or {of_head[0]}")
        self._towers: tuple[TowerTap, ...] = ()
        self._output_tap: OutputTap | None = None
        needs_towers = any(loss.needs_heads for loss in self.losses)
        self._needs_distributions = any(loss.needs_distributions for loss in self.losses)
        self._needs_predictions = any(loss.needs_predictions for loss in self.losses)
        needs_outputs = self._needs_distributions or self._needs_predictions
        if needs_towers or needs_outputs:
            assert adapters[0] and adapters[1], "the losses were built, so both heads can be read"
            self._heads = adapters[0], adapters[1]
            self._heads[1].as_released = any(
                getattr(loss.settings, "reading", "text") == "release" for loss in self.losses
            )
            self._towers = tuple(TowerTap(head) for head in self._heads if needs_towers)
            if needs_outputs:
                self._output_tap = OutputTap(self._heads[0])

    def init_weights(self) -> None:
        """Load the teacher, and put the student where the stage starts.

        Raises:
            UserError: Weights are missing or do not fit.
        """
        logger = MMLogger.get_current_instance()
        logger.info("levels are paired by stride: %s", ", ".join(map(str, self.pair.strides)))
        for loss in self.losses:
            logger.info("distillation loss: %s", loss.settings)
        if self.teacher_weights is not None:
            load_weights(self.teacher, Path(self.teacher_weights))
        if self.start == "weights":
            if self.student_weights is not None:
                load_weights(self.student, Path(self.student_weights))
            return
        self.student.init_weights()
        if self.start == "inherit":
            taken = inherit(
                self.student.state_dict(), self.teacher.state_dict(), self.pair.same_levels
            )
            self.student.load_state_dict(taken.state, strict=False)
            for name in taken.copied:
                logger.info("inherited from the teacher: %s", name)
            for name, reason in taken.left.items():
                logger.info("not inherited: %s (%s)", name, reason)

    @property
    def bbox_head(self) -> nn.Module:
        """The student's: YOLOXModeSwitchHook changes how it learns."""
        head: nn.Module = self.student.bbox_head
        return head

    def set_epoch(self, epoch: int) -> None:
        """Tell the student its epoch, as SetEpochInfoHook does."""
        self.student.set_epoch(epoch)

    @property
    def teacher(self) -> Any:
        """The teacher, in eval mode, but for its stochastic depth if that is asked for."""
        return self._beside[0]

    def _apply(self, fn: Any, recurse: bool = True) -> Distiller:
        """Take the teacher along, to another device or precision."""
        super()._apply(fn, recurse)
        self.teacher._apply(fn, recurse)
        return self

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[Any] | None = None,
        mode: str = "tensor",
    ) -> Any:
        """As an MMDetection detector: ``loss``, ``predict`` or ``tensor``; inputs (N, 3, H, W)."""
        if mode != "loss":
            result = self.student(inputs, data_samples, mode)
            self._forget()
            return result
        assert data_samples is not None
        truth = GroundTruth.from_samples(data_samples, (inputs.shape[-2], inputs.shape[-1]))
        teacher = self._teacher_features(inputs, data_samples)
        losses = dict(self.student(inputs, data_samples, mode="loss"))
        with torch.autocast(inputs.device.type, enabled=False):
            maps = self._tap.take()
            outputs = self._output_tap.take() if self._output_tap else None
            student = self._observed(0, maps, outputs, data_samples)
            for name, loss in zip(self.loss_names, self.losses, strict=True):
                losses[name] = loss(student, teacher, truth)
        return losses

    @torch.no_grad()
    def _teacher_features(self, inputs: Tensor, samples: Sequence[Any]) -> Features:
        """The teacher's maps, and its towers and predictions where a loss asks for them."""
        kind, precision = inputs.device.type, self._teacher_precision
        # float32 is not a precision that autocast casts to.
        cast = precision not in (None, torch.float32)
        casting = torch.autocast(kind, precision if cast else None, enabled=cast)
        with nullcontext() if precision is None else casting:
            if self._teacher_maps is None:
                maps = self._compute_maps(inputs, samples)
            else:
                maps = self._teacher_maps.of(inputs, samples, self._compute_maps)
            outputs = None if self._heads is None else self.teacher.bbox_head(maps)
        with torch.autocast(kind, enabled=False):
            return self._observed(1, maps, outputs)

    def _compute_maps(self, inputs: Tensor, samples: Sequence[Any]) -> Maps:
        """What the teacher's neck gives on images (N, 3, H, W) as the student gets them."""
        maps: Maps = self._neck_of(self.renormalise(inputs, samples))
        return maps if self._teacher_tap is None else self._teacher_tap.take()

    def _observed(
        self,
        index: int,
        maps: Sequence[Tensor],
        outputs: Any = None,
        samples: Sequence[Any] | None = None,
    ) -> Features:
        """What losses see of one detector, in float32 whatever the precision of the maps.

        Args:
            index: 0 of the student, 1 of the teacher.
            maps: What its neck gave, all levels.
            outputs: What its dense head gave, if a loss looks there.
            samples: Of the student: what its head learns from.
        """
        is_teacher = index == 1
        side = self.pair.teacher if is_teacher else self.pair.student
        classification, regression = self._towers[index].take() if self._towers else ([], [])
        predictions: Predictions | None = None
        distributions: Sequence[Tensor] = ()
        positives: Sequence[Tensor] = ()
        positive_count = 0.0
        if self._heads is not None:
            head = self._heads[index]
            # With towers, PGD asks where the teacher predicts well; of the student it does not.
            if self._needs_predictions or (self._towers and is_teacher):
                predictions = head.predictions(outputs, side.levels)
            if self._needs_predictions and samples is not None:
                count = head.positive_count(outputs, samples)
                on_device = torch.tensor(count, device=outputs[0][0].device)
                positive_count = float(reduce_mean(on_device))
            if self._needs_distributions:
                distributions = outputs[1]
                positives = () if samples is None else head.positives(outputs, samples)
        return Features(
            _chosen(maps, side),
            _chosen(classification, side),
            _chosen(regression, side),
            predictions,
            _chosen(distributions, side),
            _chosen(positives, side),
            positive_count,
        )

    def _forget(self) -> None:
        """Let go of maps that no loss will look at."""
        self._tap.take()
        if self._towers:
            self._towers[0].take()
        if self._output_tap:
            self._output_tap.take()


def _chosen(maps: Sequence[Tensor], side: Side) -> list[Tensor]:
    """The paired levels in float32; none of what nobody asked for."""
    return [maps[level].float() for level in side.levels] if maps else []
