"""The distiller: one MMEngine model that holds a student and its frozen teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from mmdet.registry import MODELS
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from torch import Tensor, nn

from mtpd.detectors.feature_maps import NeckTap, fpn_levels, pair_levels
from mtpd.detectors.weights import load_weights
from mtpd.distillation.losses import build_loss
from mtpd.distillation.normalisation import Renormalise
from mtpd.distillation.start import inherit

Start = Literal["weights", "backbone", "inherit"]


@MODELS.register_module()
class Distiller(BaseModel):
    """Adds distillation losses between FPN maps to the student's own losses.

    The teacher runs in eval mode, outside autograd, and only as far as its neck; the student's maps
    are caught in its own forward pass. Checkpoints hold the student and the losses' adapters but
    not the teacher. In ``predict`` and ``tensor`` mode the distiller is the student.

    Args:
        student: MMDetection model config of the student.
        teacher: The same for the teacher.
        losses: Settings of the losses (see :mod:`mtpd.experiment.losses`).
        teacher_weights: Checkpoint of the teacher; must fit in every tensor.
        student_weights: Checkpoint that the student starts from if ``start`` is ``weights``.
        start: ``weights``; ``backbone``: as the student's own config initialises it; ``inherit``:
            as ``backbone``, then neck and head from the teacher where they fit.
    """

    def __init__(
        self,
        student: dict[str, Any],
        teacher: dict[str, Any],
        losses: Sequence[dict[str, Any]],
        teacher_weights: str | None = None,
        student_weights: str | None = None,
        start: Start = "weights",
    ) -> None:
        super().__init__()
        self.student = MODELS.build(student)
        self.data_preprocessor = self.student.data_preprocessor
        self.teacher = MODELS.build(teacher)
        self.teacher.requires_grad_(False)
        self.renormalise = Renormalise(self.data_preprocessor, self.teacher.data_preprocessor)
        self.student_weights, self.teacher_weights = student_weights, teacher_weights
        self.start = start

        levels = fpn_levels(self.student), fpn_levels(self.teacher)
        self.pairs = pair_levels(*levels, names=("student", "teacher"))
        channels = (
            [levels[0][own].channels for own, _ in self.pairs],
            [levels[1][other].channels for _, other in self.pairs],
        )
        self.strides = [levels[0][own].stride for own, _ in self.pairs]
        self.losses = nn.ModuleList(build_loss(settings, *channels) for settings in losses)
        self.loss_names = [f"loss_distill_{settings['type']}" for settings in losses]
        self._tap = NeckTap(self.student)
        self.register_state_dict_post_hook(_leave_teacher_out)
        self.register_load_state_dict_post_hook(_do_not_miss_teacher)
        self.train()

    def init_weights(self) -> None:
        """Load the teacher, and put the student where the stage starts.

        Raises:
            UserError: Weights are missing or do not fit.
        """
        logger = MMLogger.get_current_instance()
        if self.teacher_weights is not None:
            load_weights(self.teacher, Path(self.teacher_weights))
        if self.start == "weights":
            if self.student_weights is not None:
                load_weights(self.student, Path(self.student_weights))
            return
        self.student.init_weights()
        if self.start == "inherit":
            taken = inherit(self.student.state_dict(), self.teacher.state_dict())
            self.student.load_state_dict(taken.state, strict=False)
            logger.info("inherited %d tensors from the teacher", len(taken.copied))
            for name, reason in taken.left.items():
                logger.info("not inherited: %s (%s)", name, reason)

    def train(self, mode: bool = True) -> Distiller:
        """Set the mode of the student; the teacher stays in eval mode."""
        super().train(mode)
        self.teacher.eval()
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
            self._tap.take()
            return result
        assert data_samples is not None
        with torch.no_grad():
            teacher_maps = self.teacher.extract_feat(self.renormalise(inputs, data_samples))
        losses = dict(self.student(inputs, data_samples, mode="loss"))
        losses.update(self._distillation_losses(self._tap.take(), teacher_maps))
        return losses

    def _distillation_losses(
        self, student_maps: Sequence[Tensor], teacher_maps: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """Every loss by name, in float32 whatever the precision of the maps."""
        with torch.autocast(student_maps[0].device.type, enabled=False):
            own = [student_maps[index].float() for index, _ in self.pairs]
            target = [teacher_maps[index].float() for _, index in self.pairs]
            return {
                name: loss(own, target)
                for name, loss in zip(self.loss_names, self.losses, strict=True)
            }


def _leave_teacher_out(
    _module: nn.Module, state: dict[str, Any], prefix: str, _metadata: dict[str, Any]
) -> None:
    for key in [key for key in state if key.startswith(f"{prefix}teacher.")]:
        del state[key]


def _do_not_miss_teacher(_module: nn.Module, incompatible: Any) -> None:
    incompatible.missing_keys[:] = [
        key for key in incompatible.missing_keys if not key.startswith("teacher.")
    ]
