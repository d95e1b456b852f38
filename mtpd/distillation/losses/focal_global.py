"""Focal and global distillation (FGD): Yang et al., CVPR 2022."""

from __future__ import annotations

from torch import Tensor, nn

from mtpd.distillation.adapter import LevelAdapter
from mtpd.distillation.features import Features, GroundTruth
from mtpd.distillation.losses.base import DistillationLoss, given
from mtpd.distillation.masks import box_masks
from mtpd.distillation.pairing import Side
from mtpd.settings.losses import FocalGlobal


class FocalGlobalLoss(DistillationLoss):
    """Foreground and background apart, each weighted by the teacher's attention; and the context.

    With T's spatial and channel attention A^S and A^C, and the masks of :func:`box_masks`, the loss
    of a level is, levels summed,

    - focal: α Σ M_fg A^S A^C (S−T)²/N + β Σ M_bg A^S A^C (S−T)²/N
    - attention: γ (Σ |A^S_S − A^S_T| + Σ |A^C_S − A^C_T|)/N
    - global: λ Σ (R_S(S) − R_T(T))²/N, R a :class:`GlobalContext` of each side.
    """

    def __init__(self, settings: FocalGlobal, student: Side, teacher: Side) -> None:
        super().__init__(settings)
        self.alpha, self.beta = given(settings.alpha), given(settings.beta)
        self.gamma, self.lambda_global = given(settings.gamma), given(settings.lambda_global)
        self.temperature = given(settings.temperature)
        self.adapter = LevelAdapter(student.channels, teacher.channels)
        self.student_context = nn.ModuleList(GlobalContext(c) for c in teacher.channels)
        self.teacher_context = nn.ModuleList(GlobalContext(c) for c in teacher.channels)

    def forward(self, student: Features, teacher: Features, truth: GroundTruth) -> Tensor:
        """Scalar loss of maps (N, C, H, W)."""
        adapted = self.adapter(student.fpn, teacher.fpn)
        terms = [
            self._focal_and_attention(s, t, truth)
            + self.lambda_global * (own(s) - other(t)).square().sum() / len(t)
            for s, t, own, other in zip(
                adapted, teacher.fpn, self.student_context, self.teacher_context, strict=True
            )
        ]
        return sum(terms[1:], terms[0])

    def _focal_and_attention(self, student: Tensor, teacher: Tensor, truth: GroundTruth) -> Tensor:
        foreground, background = box_masks(truth, teacher.shape[-2:])
        spatial_s, channel_s = _attention(student, self.temperature)
        spatial_t, channel_t = _attention(teacher, self.temperature)
        squares = ((student - teacher).square() * channel_t[:, :, None, None]).sum(1)
        mask = self.alpha * foreground + self.beta * background
        focal = (mask * spatial_t * squares).sum()
        attention = (spatial_s - spatial_t).abs().sum() + (channel_s - channel_t).abs().sum()
        return (focal + self.gamma * attention) / len(teacher)


class GlobalContext(nn.Module):
    """R(F) = F + transform(context), the same addition at every position.

    The context is the mean of F over positions, weighted by a softmax of a 1×1 convolution of F.
    The transform is conv1×1, layer norm, ReLU, conv1×1 with half the channels between; its last
    convolution starts at zero, so that R starts as the identity, and the first Kaiming-normal, as
    in the authors' release.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = max(1, channels // 2)
        # Without bias, which the softmax over positions would cancel.
        self.attention = nn.Conv2d(channels, 1, kernel_size=1, bias=False)
        self.transform = nn.Sequential(
            nn.Conv2d(channels, middle, kernel_size=1),
            nn.LayerNorm([middle, 1, 1]),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, channels, kernel_size=1),
        )
        nn.init.kaiming_normal_(self.attention.weight, nonlinearity="relu")
        for parameter in self.transform[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, H, W) of the same shape."""
        weights = self.attention(maps).flatten(2).softmax(-1)  # (N, 1, H·W)
        context = (maps.flatten(2) * weights).sum(-1)[..., None, None]
        return maps + self.transform(context)


def _attention(maps: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Spatial attention (N, H, W), of mean 1 over positions, and channel attention (N, C)."""
    size, magnitude = maps.shape, maps.abs()
    over_positions = (magnitude.mean(1).flatten(1) / temperature).softmax(-1)
    over_channels = (magnitude.mean((2, 3)) / temperature).softmax(-1)
    spatial = over_positions.view(size[0], *size[2:]) * over_positions.shape[-1]
    return spatial, over_channels * size[1]
