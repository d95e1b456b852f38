"""Random inputs of distillation losses: features, ground truth, and the pair they belong to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtpd.detectors.feature_maps import Level
from mtpd.distillation.features import Features, GroundTruth, Predictions
from mtpd.distillation.losses import build_loss
from mtpd.distillation.losses.base import DistillationLoss
from mtpd.distillation.pairing import Anatomy, Pair, pair
from mtpd.settings.losses import ONE_STAGE

SIZE = (48, 64)  # of the input, in pixels
STRIDES = (8, 16)
GRIDS = ((6, 8), (3, 4))
STUDENT, TEACHER = 4, 6  # channels
CLASSES = 3
BINS = 5
POSITIVES = 7.0

# An image with overlapping boxes, one without any, one with a box of no area and one at the edge.
BOXES = (
    [[4.0, 6.0, 30.0, 40.0], [10.0, 10.0, 25.0, 26.0], [40.0, 3.0, 60.0, 20.0]],
    [],
    [[20.0, 20.0, 20.0, 20.0], [30.5, 11.25, 64.0, 48.0]],
)
LABELS = ([0, 2, 1], [], [1, 0])


def anatomy(channels: int, kind: str = ONE_STAGE, head: str = "FCOSHead") -> Anatomy:
    """Anatomy of a detector with as many channels in its towers as in its neck."""
    levels = tuple(Level(stride, channels) for stride in STRIDES)
    return Anatomy(levels, kind, head, CLASSES, channels, None, BINS, 1, "")


def pair_of(student: int = STUDENT, teacher: int = TEACHER, **options: Any) -> Pair:
    """A pair of two levels with the given channels."""
    sides = anatomy(student, **options), anatomy(teacher, **options)
    return pair(*sides, names=("student", "teacher"))


def loss_of(
    settings: dict[str, Any], channels: tuple[int, int] = (STUDENT, TEACHER), **options: Any
) -> Any:
    """The loss in float64, its parameters drawn from a fixed seed, none of them zero."""
    torch.manual_seed(0)
    loss: DistillationLoss = build_loss(settings, pair_of(*channels, **options)).double()
    for parameter in loss.parameters():
        torch.nn.init.uniform_(parameter, -0.5, 0.5)
    return loss


def maps(seed: int, channels: int, images: int = len(BOXES)) -> list[Tensor]:
    """Random maps of both levels in float64."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(images, channels, *grid, generator=generator, dtype=torch.float64)
        for grid in GRIDS
    ]


def points() -> Tensor:
    """Positions (P, 2) of both levels in pixels."""
    levels = []
    for stride, (height, width) in zip(STRIDES, GRIDS, strict=True):
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        levels.append(torch.stack([x.flatten(), y.flatten()], 1) * stride + stride // 2)
    return torch.cat(levels).double()


def positives(seed: int, images: int = len(BOXES)) -> list[Tensor]:
    """A weight in [0, 1] for about half of the positions of both levels."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.rand(2, images, *grid, generator=generator).double() for grid in GRIDS]
    return [weights * (chance < 0.5) for weights, chance in drawn]


def predictions(seed: int, images: int = len(BOXES)) -> Predictions:
    """Logits of random scores, and boxes around every position that overlap much of the image."""
    generator = torch.Generator().manual_seed(seed)
    where = points()

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    sides = 2 + 30 * uniform(2, images, len(where), 2)
    boxes = torch.cat([where - sides[0], where + sides[1]], -1)
    return Predictions(uniform(images, len(where), CLASSES).logit(), boxes, where)


def student_features(seed: int = 0, channels: int = STUDENT) -> Features:
    """A student's features; their tensors are leaves that take gradients."""
    parts = [maps(seed + part, channels) for part in range(3)]
    distributions = maps(seed + 3, 4 * BINS)
    found = predictions(seed + 4)
    for leaf in (*(level for part in (*parts, distributions) for level in part), found.logits):
        leaf.requires_grad_()
    found.boxes.requires_grad_()
    return Features(*parts, found, distributions, positives(seed), POSITIVES)


def teacher_features(seed: int = 10, channels: int = TEACHER) -> Features:
    """A teacher's features."""
    parts = (maps(seed + part, channels) for part in range(3))
    return Features(*parts, predictions(seed), maps(seed + 3, 4 * BINS))


def truth(boxes: Any = BOXES, labels: Any = LABELS) -> GroundTruth:
    """Ground truth in float64."""
    return GroundTruth.of(
        [torch.tensor(own, dtype=torch.float64).view(-1, 4) for own in boxes],
        [torch.tensor(own, dtype=torch.long) for own in labels],
        SIZE,
    )


def tensors(features: Features) -> list[Tensor]:
    """All maps of a detector."""
    return [*features.fpn, *features.classification, *features.regression]


def one_image(features: Features, index: int) -> Features:
    """The features of one image of the batch."""
    cut = slice(index, index + 1)
    found = features.predictions
    return Features(
        [level[cut] for level in features.fpn],
        [level[cut] for level in features.classification],
        [level[cut] for level in features.regression],
        found and Predictions(found.logits[cut], found.boxes[cut], found.points),
        [level[cut] for level in features.distributions],
        [level[cut] for level in features.positives],
        features.positive_count,
    )
