"""Losses against their formulas, written naively, in float64; and what holds for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from loss_inputs import (
    BOXES,
    GRIDS,
    LABELS,
    POSITIVES,
    SIZE,
    STUDENT,
    TEACHER,
    anatomy,
    loss_of,
    one_image,
    pair_of,
    student_features,
    teacher_features,
    tensors,
    truth,
)
from naive import (
    naive_bckd,
    naive_context,
    naive_fgd,
    naive_ld,
    naive_mgd,
    naive_pgd_background,
    naive_pgd_classification,
    naive_pgd_regression,
    naive_pgd_weights,
    naive_pkd,
)
from pydantic import TypeAdapter
from torch import Tensor, nn

from mtpd.distillation.features import Features, GroundTruth, Predictions
from mtpd.distillation.losses import LOSSES, build_loss, completed
from mtpd.distillation.losses.focal_global import GlobalContext
from mtpd.distillation.pairing import pair
from mtpd.distillation.quality import NOISE_VARIANCE
from mtpd.errors import UserError
from mtpd.settings.losses import IN_THE_HEAD, ONE_STAGE, TWO_STAGE, Loss

ON_MAPS = ("feature_matching", "cwd", "pkd", "mgd", "fgd", "pgd")
"""Those that compare maps, for which channels and grids may differ."""
KINDS = (*ON_MAPS, "ld", "bckd")
TRUTH = list(zip(BOXES, LABELS, strict=True))


def channels_of(kind: str) -> tuple[int, int]:
    """Channels of both sides; only PKD cannot do with unlike ones."""
    return (TEACHER, TEACHER) if kind == "pkd" else (STUDENT, TEACHER)


def test_losses_of_the_head_are_known_by_their_types() -> None:
    """Settings are checked without the modules that say what a loss looks at."""
    of_head = {
        kind
        for kind in KINDS
        if build_loss({"type": kind}, pair_of(TEACHER, TEACHER)).works_in_head
    }
    assert of_head == set(IN_THE_HEAD)


def test_every_loss_is_tried() -> None:
    assert set(KINDS) == {
        settings.model_fields["type"].annotation.__args__[0] for settings in LOSSES
    }


def adapted(student: list[Tensor], convolutions: Any) -> list[Tensor]:
    """Student maps after the adapter's 1×1 convolutions, written as sums over channels."""
    return [
        torch.einsum("oc,nchw->nohw", convolution.weight[:, :, 0, 0], level)
        + convolution.bias[:, None, None]
        for level, convolution in zip(student, convolutions, strict=True)
    ]


def naive_feature_matching(student: list[Tensor], teacher: list[Tensor], weight: float) -> float:
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        squares = [
            (float(a) - float(b)) ** 2 for a, b in zip(s.flatten(), t.flatten(), strict=True)
        ]
        total += sum(squares) / len(squares)
    return weight * total


def naive_cwd(student: list[Tensor], teacher: list[Tensor], weight: float, tau: float) -> float:
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        n, c = s.shape[:2]
        divergence = 0.0
        for image in range(n):
            for channel in range(c):
                one = [math.exp(float(v) / tau) for v in s[image, channel].flatten()]
                two = [math.exp(float(v) / tau) for v in t[image, channel].flatten()]
                for a, b in zip(one, two, strict=True):
                    p, q = b / sum(two), a / sum(one)
                    divergence += p * math.log(p / q)
        total += tau**2 * divergence / (n * c)
    return weight * total


class TestFormulas:
    """Unlike channels, two levels, overlapping boxes, an image without boxes, one of no area."""

    def test_feature_matching(self) -> None:
        student, teacher = student_features(), teacher_features()
        loss = loss_of({"type": "feature_matching", "weight": 0.8})
        own = adapted(student.fpn, loss.adapter.levels)
        expected = naive_feature_matching(own, teacher.fpn, 0.8)
        assert float(loss(student, teacher, truth())) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("tau", [0.5, 1.0, 4.0])
    def test_cwd(self, tau: float) -> None:
        student, teacher = student_features(), teacher_features()
        loss = loss_of({"type": "cwd", "weight": 10, "temperature": tau})
        own = adapted(student.fpn, loss.adapter.levels)
        expected = naive_cwd(own, teacher.fpn, 10, tau)
        assert float(loss(student, teacher, truth())) == pytest.approx(expected, rel=1e-10)

    def test_pkd(self) -> None:
        student, teacher = student_features(channels=TEACHER), teacher_features()
        loss = loss_of({"type": "pkd", "weight": 6}, (TEACHER, TEACHER))
        expected = naive_pkd(student.fpn, teacher.fpn, 6)
        assert float(loss(student, teacher, truth())) == pytest.approx(expected, rel=1e-10)

    @pytest.mark.parametrize("levels", [1, 2, 4])
    def test_pkd_of_the_finest_levels(self, levels: int) -> None:
        student, teacher = student_features(channels=TEACHER), teacher_features()
        loss = loss_of({"type": "pkd", "levels": levels}, (TEACHER, TEACHER))
        expected = naive_pkd(student.fpn[:levels], teacher.fpn[:levels], 10)
        assert float(loss(student, teacher, truth())) == pytest.approx(expected, rel=1e-10)

    def test_pkd_is_blind_to_scale_and_offset(self) -> None:
        teacher = teacher_features()
        loss = loss_of({"type": "pkd"}, (TEACHER, TEACHER))
        moved = Features([3 * level + 2 for level in teacher.fpn])
        assert float(loss(moved, teacher, truth())) == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize("ratio", [0.0, 0.45, 0.9])
    def test_mgd(self, ratio: float) -> None:
        student, teacher = student_features(), teacher_features()
        loss = loss_of({"type": "mgd", "weight": 0.02, "mask_ratio": ratio})
        torch.manual_seed(1)
        kept = [torch.rand(len(BOXES), *grid, dtype=torch.float64) >= ratio for grid in GRIDS]
        layers = [((g[0].weight, g[0].bias), (g[2].weight, g[2].bias)) for g in loss.generators]
        own = adapted(student.fpn, loss.adapter.levels)
        expected = naive_mgd(own, teacher.fpn, 0.02, kept, layers)
        torch.manual_seed(1)
        assert float(loss(student, teacher, truth())) == pytest.approx(expected, rel=1e-10)

    def test_mgd_masks_the_share_that_it_says(self) -> None:
        loss = loss_of({"type": "mgd", "mask_ratio": 0.65})
        torch.manual_seed(0)
        kept = loss._kept(torch.zeros(4, 7, 100, 100))
        assert kept.shape == (4, 1, 100, 100)
        assert float(kept.double().mean()) == pytest.approx(0.35, abs=0.01)

    def test_fgd(self) -> None:
        student, teacher = student_features(), teacher_features()
        weights = {"alpha": 0.3, "beta": 0.2, "gamma": 0.05, "lambda_global": 0.01}
        loss = loss_of({"type": "fgd", "temperature": 0.7, **weights})
        contexts = [
            (_naive_context(own), _naive_context(other))
            for own, other in zip(loss.student_context, loss.teacher_context, strict=True)
        ]
        own = adapted(student.fpn, loss.adapter.levels)
        expected = naive_fgd(own, teacher.fpn, TRUTH, SIZE, 0.3, 0.2, 0.05, 0.01, 0.7, contexts)
        assert float(loss(student, teacher, truth())) == pytest.approx(expected, rel=1e-10)

    @pytest.mark.parametrize("positions", [1, 4, 9, 1000])
    @pytest.mark.parametrize(
        ("reading", "head"),
        [("text", "FCOSHead"), ("release", "FCOSHead"), ("release", "ATSSHead")],
    )
    def test_pgd(self, positions: int, reading: str, head: str) -> None:
        """Images of three sizes in one batch; FCOS' release has x and y exchanged."""
        student, teacher = student_features(), teacher_features()
        settings = {
            "type": "pgd",
            "reading": reading,
            "alpha": 0.3,
            "beta": 0.2,
            "gamma": 0.7,
            "delta": 0.05,
            "temperature": 0.6,
            "xi_classification": 0.7,
            "xi_regression": 0.4,
            "positions": positions,
        }
        loss, as_released = loss_of(settings, head=head), reading == "release"
        exchanged = as_released and head == "FCOSHead"
        extents: Sequence[tuple[float, float]] = PADDED if as_released else IMAGES
        if exchanged:
            extents = [(math.inf, math.inf)] * len(IMAGES)
        classification, regression, background = _naive_maps(
            teacher, (0.7, 0.4), positions, extents, exchanged
        )
        own = adapted(student.classification, loss.classification_adapter.levels)
        branches = own, teacher.classification, classification, background
        expected = naive_pgd_classification(*branches, 0.3, 0.2, 0.05, 0.6, together=as_released)
        own = adapted(student.regression, loss.regression_adapter.levels)
        expected += naive_pgd_regression(own, teacher.regression, regression, 0.7, 0.05, 0.6)
        sizes = {"images": torch.tensor(IMAGES), "padded": torch.tensor(PADDED)}
        found = float(loss(student, teacher, replace(truth(), **sizes)))
        assert found == pytest.approx(expected, rel=1e-9)


IMAGES = [(42, 61), (30, 40), (48, 64)]
"""Height and width of the images of a batch of 48×64 pixels."""
PADDED = [(48, 64), (32, 48), (48, 64)]
"""The same, each padded to multiples of 16."""


def _naive_context(module: Any) -> Any:
    mask, (first, norm, _, last) = module.attention, module.transform
    arguments = (
        mask.weight.flatten(), 0.0, first.weight[:, :, 0, 0], first.bias,
        norm.weight.flatten(), norm.bias.flatten(), last.weight[:, :, 0, 0], last.bias,
    )  # fmt: skip
    return lambda feature: naive_context(feature, *arguments)


def _naive_maps(
    teacher: Features,
    xis: tuple[float, float],
    positions: int,
    extents: Sequence[tuple[float, float]],
    exchanged: bool,
) -> list[list[Tensor]]:
    """Weights of both branches and the background, each (N, H, W) by level."""
    found = teacher.predictions
    assert found is not None
    rows: list[list[Tensor]] = [[], [], []]
    for image, (own, extent) in enumerate(zip(TRUTH, extents, strict=True)):
        scores, boxes = found.logits[image].sigmoid(), found.boxes[image]
        of_image = scores, boxes, found.points, own
        for row, xi in zip(rows, xis, strict=False):
            row.append(
                naive_pgd_weights(*of_image, xi, positions, NOISE_VARIANCE, extent, exchanged)
            )
        rows[2].append(naive_pgd_background(found.points, own, extent, exchanged))
    counts = [height * width for height, width in GRIDS]
    return [
        [
            level.view(-1, *grid)
            for level, grid in zip(torch.stack(row).split(counts, 1), GRIDS, strict=True)
        ]
        for row in rows
    ]


@pytest.mark.parametrize("kind", [kind for kind in ON_MAPS if kind != "mgd"])
def test_equal_maps_cost_nothing(kind: str) -> None:
    """Nor do they with fresh adapters; MGD alone has to generate what it compares."""
    teacher = teacher_features()
    loss = build_loss({"type": kind}, pair_of(TEACHER, TEACHER)).double()
    assert float(loss(teacher, teacher, truth())) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("kind", ON_MAPS)
class TestEveryLossOnMaps:
    def test_adapts_unlike_channels_and_grids(self, kind: str) -> None:
        student = student_features(channels=channels_of(kind)[0])
        student = Features(*([part[0], part[1][..., :-1]] for part in _parts(student)))
        loss = loss_of({"type": kind}, channels_of(kind))
        value = loss(student, teacher_features(), truth())
        value.backward()
        assert value.ndim == 0
        assert torch.isfinite(value)
        assert all(_flows(parameter) for parameter in loss.parameters())

    def test_gradients_reach_the_student(self, kind: str) -> None:
        student = student_features(channels=channels_of(kind)[0])
        loss = loss_of({"type": kind}, channels_of(kind))
        loss(student, teacher_features(), truth()).backward()
        seen = tensors(student)[2:] if kind == "pgd" else list(student.fpn)
        assert all(_flows(level) for level in seen)

    def test_a_batch_is_the_mean_of_its_images_where_the_formula_says_so(self, kind: str) -> None:
        if kind == "pkd":
            pytest.skip("standardises over the batch")
        # MGD draws its masks, and PGD's regression branch means over the batch's positions.
        alone = {"mgd": {"mask_ratio": 0.0}, "pgd": {"gamma": 0.0, "delta": 0.0}}
        loss = loss_of({"type": kind, **alone.get(kind, {})})
        student, teacher = student_features(), teacher_features()
        single = [
            float(
                loss(
                    one_image(student, index),
                    one_image(teacher, index),
                    truth([BOXES[index]], [LABELS[index]]),
                )
            )
            for index in range(len(BOXES))
        ]
        together = float(loss(student, teacher, truth()))
        assert together == pytest.approx(sum(single) / len(single), rel=1e-12)

    @pytest.mark.parametrize(
        "boxes",
        [
            [[], [], []],
            [[[5.0, 5.0, 5.0, 30.0]], [[9.0, 9.0, 9.0, 9.0]], []],
            [[[30.0, 30.0, 10.0, 10.0]], [[-20.0, -9.0, -4.0, -2.0]], [[0.0, 0.0, 64.0, 48.0]]],
        ],
        ids=["none", "no area", "inside out, outside the image, all of the image"],
    )
    def test_odd_boxes_are_ordinary(self, kind: str, boxes: Any) -> None:
        labels = [[0] * len(own) for own in boxes]
        student = student_features(channels=channels_of(kind)[0])
        loss = loss_of({"type": kind}, channels_of(kind))
        value = loss(student, teacher_features(), truth(boxes, labels))
        value.backward()
        assert torch.isfinite(value)
        assert all(level.grad is None or level.grad.isfinite().all() for level in tensors(student))
        assert all(p.grad is not None and p.grad.isfinite().all() for p in loss.parameters())

    def test_maps_of_a_single_position(self, kind: str) -> None:
        student = student_features(channels=channels_of(kind)[0])
        cut = [
            Features(*([level[:1, :, :1, :1] for level in part] for part in _parts(side)))
            for side in (student, teacher_features())
        ]
        where = torch.tensor([[20.0, 20.0], [20.0, 20.0]]).double()
        found = Predictions(torch.full((1, 2, 3), 40.0).double(), where.repeat(1, 2)[None], where)
        teacher = Features(cut[1].fpn, cut[1].classification, cut[1].regression, found)
        loss = loss_of({"type": kind}, channels_of(kind))
        value = loss(cut[0], teacher, truth([BOXES[0]], [LABELS[0]]))
        value.backward()
        assert torch.isfinite(value)
        assert all(level.grad is None or level.grad.isfinite().all() for level in tensors(student))

    def test_constant_channels(self, kind: str) -> None:
        """A dead channel has no deviation and no attention."""
        student = student_features(channels=channels_of(kind)[0])
        parts = [[level * 0 for level in part] for part in _parts(student)]
        loss = loss_of({"type": kind}, channels_of(kind))
        value = loss(Features(*parts), teacher_features(), truth())
        value.backward()
        assert torch.isfinite(value)
        assert all(level.grad is None or level.grad.isfinite().all() for level in tensors(student))


class TestLocalization:
    """LD compares logits at positions, not maps; what the loss of maps must pass, in its way."""

    @pytest.mark.parametrize("temperature", [1.0, 10.0])
    def test_the_formula(self, temperature: float) -> None:
        student, teacher = student_features(), teacher_features()
        loss = loss_of({"type": "ld", "weight": 0.5, "temperature": temperature})
        sides = student.distributions, teacher.distributions
        expected = naive_ld(*sides, student.positives, 0.5, temperature)
        assert float(loss(student, teacher, truth())) == pytest.approx(expected, rel=1e-10)

    def test_gradients_reach_the_positive_positions_alone(self) -> None:
        student = student_features()
        loss_of({"type": "ld"})(student, teacher_features(), truth()).backward()
        for logits, counts in zip(student.distributions, student.positives, strict=True):
            assert logits.grad is not None
            assert torch.equal(logits.grad.abs().sum(1) > 0, counts > 0)
        assert all(level.grad is None for level in student.fpn)

    def test_equal_distributions_and_no_positives_cost_nothing(self) -> None:
        student, teacher = student_features(), teacher_features()
        loss = loss_of({"type": "ld"})
        alike = replace(student, distributions=[level + 3 for level in teacher.distributions])
        assert float(loss(alike, teacher, truth())) == pytest.approx(0, abs=1e-12)
        none = replace(student, positives=[level * 0 for level in student.positives])
        value = loss(none, teacher, truth())
        value.backward()
        assert float(value) == 0
        assert all(float(level.grad.abs().sum()) == 0 for level in student.distributions)

    def test_a_batch_is_the_sum_of_its_images(self) -> None:
        """As MMDetection has it: it does not divide by the number of positions."""
        student, teacher = student_features(), teacher_features()
        loss = loss_of({"type": "ld"})
        images = range(len(BOXES))
        single = [
            float(loss(one_image(student, i), one_image(teacher, i), truth())) for i in images
        ]
        assert float(loss(student, teacher, truth())) == pytest.approx(sum(single), rel=1e-12)

    @pytest.mark.parametrize(
        ("bins", "words"),
        [
            ((5, 0), "teacher: FCOSHead: ld needs a head that predicts distributions"),
            ((5, 17), r"ld needs distributions over as many distances \(are 5 and 17\)"),
            ((None, 5), r"student: check\.json: was written by an earlier version"),
        ],
    )
    def test_heads_that_cannot_be_compared(
        self, bins: tuple[int | None, int | None], words: str
    ) -> None:
        sides = [replace(anatomy(STUDENT), bins=number) for number in bins]
        with pytest.raises(UserError, match=words):
            build_loss({"type": "ld"}, pair(*sides, names=("student", "teacher")))


class TestBinaryClassification:
    """BCKD compares predictions, not maps; what the loss of maps must pass, in its way."""

    def test_the_formula(self) -> None:
        student, teacher = student_features(), teacher_features()
        loss = loss_of({"type": "bckd", "classification": 0.7, "localization": 3})
        own, other = student.predictions, teacher.predictions
        assert own is not None
        assert other is not None
        given = truth()
        cut = replace(given, images=torch.tensor([[48, 64], [40, 20], [9, 64]]))
        inside = [
            [x < width and y < height for x, y in own.points.tolist()]
            for height, width in cut.images.tolist()
        ]
        expected = naive_bckd(
            own.logits, other.logits, own.boxes, other.boxes, inside, (0.7, 3), POSITIVES
        )
        assert float(loss(student, teacher, cut)) == pytest.approx(expected, rel=1e-6)

    def test_gradients_reach_scores_and_boxes_alone(self) -> None:
        student = student_features()
        loss_of({"type": "bckd"})(student, teacher_features(), truth()).backward()
        assert student.predictions is not None
        assert _flows(student.predictions.logits)
        assert _flows(student.predictions.boxes)
        assert all(level.grad is None for level in tensors(student))

    def test_equal_predictions_cost_nothing(self) -> None:
        student, teacher = student_features(), teacher_features()
        alike = replace(student, predictions=teacher.predictions)
        assert float(loss_of({"type": "bckd"})(alike, teacher, truth())) == 0

    def test_boxes_count_by_how_far_scores_are_apart(self) -> None:
        student, teacher = student_features(), teacher_features()
        assert student.predictions is not None
        assert teacher.predictions is not None
        same = replace(student.predictions, logits=teacher.predictions.logits)
        loss = loss_of({"type": "bckd"})
        assert float(loss(replace(student, predictions=same), teacher, truth())) == 0

    def test_a_batch_is_the_sum_of_its_images_over_all_positives(self) -> None:
        student, teacher = student_features(), teacher_features()
        loss = loss_of({"type": "bckd"})
        single = [
            float(
                loss(one_image(student, i), one_image(teacher, i), truth([BOXES[i]], [LABELS[i]]))
            )
            for i in range(len(BOXES))
        ]
        assert float(loss(student, teacher, truth())) == pytest.approx(sum(single), rel=1e-12)

    def test_no_positives_and_boxes_without_area(self) -> None:
        student, teacher = student_features(), teacher_features()
        assert student.predictions is not None
        boxes = student.predictions.points.repeat(1, 2).expand(3, -1, -1).clone().requires_grad_()
        flat = replace(student.predictions, boxes=boxes)
        loss = loss_of({"type": "bckd"})
        value = loss(replace(student, predictions=flat, positive_count=0.0), teacher, truth())
        value.backward()
        assert torch.isfinite(value)
        assert boxes.grad is not None
        assert boxes.grad.isfinite().all()

    def test_maps_of_unlike_sizes(self) -> None:
        student, teacher = student_features(), teacher_features()
        assert teacher.predictions is not None
        fewer = replace(teacher.predictions, logits=teacher.predictions.logits[:, 1:])
        with pytest.raises(UserError, match="predict for 60 and 59 priors"):
            loss_of({"type": "bckd"})(student, replace(teacher, predictions=fewer), truth())

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (({}, {"priors": 0}), "teacher: FCOSHead: bckd cannot read what this head predicts"),
            (({"priors": 9}, {}), r"bckd needs as many priors at a position \(they have 9 and 1\)"),
            (({}, {"anchors": "others"}), "bckd needs the same anchors, and theirs differ"),
            (({}, {"classes": 5}), r"bckd needs heads of as many classes \(they have 3 and 5\)"),
            (({"priors": None}, {}), r"student: check\.json: was written by an earlier version"),
            (({"head": "DDODHead"}, {}), "student: DDODHead: bckd divides by the number of posit"),
        ],
    )
    def test_heads_that_cannot_be_compared(self, options: Any, words: str) -> None:
        sides = [replace(anatomy(STUDENT), **changed) for changed in options]
        with pytest.raises(UserError, match=words):
            build_loss({"type": "bckd"}, pair(*sides, names=("student", "teacher")))


class TestPublishedDefaults:
    @pytest.mark.parametrize(
        ("loss", "kind", "head", "expected"),
        [
            ("feature_matching", ONE_STAGE, "RetinaHead", {"weight": 0.5}),
            ("feature_matching", TWO_STAGE, "StandardRoIHead", {"weight": 0.8}),
            ("cwd", ONE_STAGE, "RetinaHead", {"weight": 10, "temperature": 1}),
            ("pkd", ONE_STAGE, "RetinaHead", {"weight": 10, "levels": 4}),
            ("pkd", TWO_STAGE, "StandardRoIHead", {"weight": 6, "levels": 4}),
            ("ld", ONE_STAGE, "GFLHead", {"weight": 0.25, "temperature": 10}),
            ("bckd", ONE_STAGE, "RetinaHead", {"classification": 1, "localization": 4}),
            ("mgd", ONE_STAGE, "RepPointsHead", {"weight": 2e-5, "mask_ratio": 0.65}),
            ("mgd", TWO_STAGE, "StandardRoIHead", {"weight": 5e-7, "mask_ratio": 0.45}),
            ("fgd", ONE_STAGE, "RetinaHead", {"alpha": 1e-3, "beta": 5e-4, "gamma": 5e-4}),
            ("fgd", ONE_STAGE, "RepPointsHead", {"alpha": 1.6e-3, "lambda_global": 8e-6}),
            ("fgd", ONE_STAGE, "FCOSHead", {"alpha": 1.6e-3, "beta": 8e-4, "temperature": 0.8}),
            ("fgd", TWO_STAGE, "StandardRoIHead", {"beta": 2.5e-5, "lambda_global": 5e-7}),
            ("pgd", ONE_STAGE, "FCOSHead", {"alpha": 0.04, "beta": 0.02, "gamma": 0.064}),
            ("pgd", ONE_STAGE, "AutoAssignHead", {"alpha": 0.08, "temperature": 0.4}),
            ("pgd", ONE_STAGE, "ATSSHead", {"alpha": 0.08, "positions": 9, "delta": 8e-4}),
            ("pgd", ONE_STAGE, "GFLHead", {"temperature": 0.8, "positions": 30}),
            ("pgd", ONE_STAGE, "DDODHead", {"xi_classification": 0.8, "xi_regression": 0.6}),
        ],
    )
    def test_follow_the_student(
        self, loss: str, kind: str, head: str, expected: dict[str, float]
    ) -> None:
        found = completed({"type": loss}, pair_of(kind=kind, head=head)).model_dump()
        assert {key: found[key] for key in expected} == pytest.approx(expected)
        assert None not in found.values()

    def test_what_is_given_stays(self) -> None:
        given = {"type": "pgd", "alpha": 0.001, "gamma": 0.5}
        found = completed(given, pair_of(head="DDODHead"))
        assert (found.alpha, found.beta, found.gamma) == (0.001, 0.0005, 0.5)

    def test_a_head_for_which_nothing_is_published(self) -> None:
        with pytest.raises(UserError, match=r"nothing is published for pgd's alpha .*; set alpha"):
            build_loss({"type": "pgd"}, pair_of(head="NewHead"))
        settings = {"type": "pgd", "alpha": 0.1, "temperature": 0.8, "positions": 9}
        build_loss(settings, pair_of(head="NewHead"))

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_loss_keeps_them_as_they_were_filled_in(self, kind: str) -> None:
        assert build_loss({"type": kind}, _alike()).settings == completed({"type": kind}, _alike())

    def test_every_name_builds_its_own_module(self) -> None:
        adapter = TypeAdapter(Loss)
        built = {
            type(build_loss(adapter.validate_python({"type": kind}), _alike())) for kind in KINDS
        }
        assert len(built) == len(KINDS)


def test_global_context_starts_as_the_identity() -> None:
    """FGD's last convolution starts at zero, and so do no others."""
    loss: Any = build_loss({"type": "fgd"}, pair_of())
    own = loss.student_context[0]
    feature = torch.randn(2, TEACHER, 5, 5)
    assert torch.equal(own(feature), feature)
    zero = [name for name, p in own.named_parameters() if not p.any() and "transform.1" not in name]
    assert zero == ["transform.3.weight", "transform.3.bias"]


def test_the_context_s_convolution_starts_kaiming_normal() -> None:
    """Deviation √(2 / channels); PyTorch's own start would have 1 / √(3 · channels)."""
    torch.manual_seed(0)
    weights = GlobalContext(4096).attention.weight
    assert float(weights.std()) == pytest.approx((2 / 4096) ** 0.5, rel=0.05)


def test_ground_truth_is_padded_and_marked() -> None:
    found = truth()
    assert found.boxes.shape == (3, 3, 4)
    assert found.valid.tolist() == [[True] * 3, [False] * 3, [True, True, False]]
    nothing = GroundTruth.of([torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.long)], SIZE)
    assert nothing.boxes.shape == (1, 1, 4)
    assert not nothing.valid.any()


def _alike() -> Any:
    return pair_of(TEACHER, TEACHER)


def _parts(features: Features) -> Any:
    return features.fpn, features.classification, features.regression


def _flows(tensor: Tensor | nn.Parameter) -> bool:
    """Whether a gradient other than zero has reached the tensor."""
    return tensor.grad is not None and bool(tensor.grad.abs().sum() > 0)
