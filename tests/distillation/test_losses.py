"""Losses against their formulas, written naively, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mtpd.distillation.losses import build_loss

SHAPES = [(2, 5, 6, 4), (2, 5, 3, 2)]


def maps(seed: int, channels: int = 5) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(n, channels, h, w, generator=generator, dtype=torch.float64)
        for n, _, h, w in SHAPES
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


def test_feature_matching_equals_the_formula() -> None:
    student, teacher = maps(0), maps(1)
    loss = build_loss({"type": "feature_matching", "weight": 0.8}, [5, 5], [5, 5])
    expected = naive_feature_matching(student, teacher, 0.8)
    assert float(loss(student, teacher)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tau", [0.5, 1.0, 4.0])
def test_cwd_equals_the_formula(tau: float) -> None:
    student, teacher = maps(0), maps(1)
    loss = build_loss({"type": "cwd", "weight": 10, "temperature": tau}, [5, 5], [5, 5])
    expected = naive_cwd(student, teacher, 10, tau)
    assert float(loss(student, teacher)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("kind", ["feature_matching", "cwd"])
class TestEveryLoss:
    def test_is_zero_for_equal_maps(self, kind: str) -> None:
        student = maps(0)
        assert float(build_loss({"type": kind}, [5, 5], [5, 5])(student, student)) == 0.0

    def test_adapts_unlike_channels_and_grids(self, kind: str) -> None:
        loss = build_loss({"type": kind}, [5, 5], [7, 5]).double()
        student, teacher = maps(0), maps(1, channels=7)
        teacher[1] = torch.randn(2, 5, 5, 5, dtype=torch.float64)
        for level in student:
            level.requires_grad_()
        value = loss(student, teacher)
        value.backward()
        assert value.ndim == 0
        assert len(list(loss.parameters())) == 2  # one convolution, for the level that differs
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in loss.parameters())
        assert all(s.grad is not None and s.grad.abs().sum() > 0 for s in student)

    def test_a_batch_is_the_mean_of_its_images(self, kind: str) -> None:
        student, teacher = maps(0), maps(1)
        loss = build_loss({"type": kind}, [5, 5], [5, 5])
        single = [
            float(loss([s[i : i + 1] for s in student], [t[i : i + 1] for t in teacher]))
            for i in range(2)
        ]
        assert float(loss(student, teacher)) == pytest.approx(sum(single) / 2, rel=1e-12)
