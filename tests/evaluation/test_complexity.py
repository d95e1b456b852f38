"""Multiply-accumulates worked out by hand, and times of a clock that the test turns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from micro import PROJECT
from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from mmengine.analysis import FlopAnalyzer
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mtpd.evaluation.complexity import count_flops, measure_latency


class Network(nn.Module):
    """What the counter needs of a detector."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.data_preprocessor = DetDataPreprocessor(pad_size_divisor=32)
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: Tensor, data_samples: list[Any], mode: str) -> Tensor:
        assert mode == "tensor"
        assert data_samples[0].metainfo["batch_input_shape"] == tuple(inputs.shape[-2:])
        return self.layers(inputs.float())


CELLS = 32 * 32
STEM = CELLS * 4 * 3 * 9


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Identity(), 0),
        (nn.Conv2d(4, 8, 3, padding=1, groups=2), CELLS * 8 * 2 * 9),
        (DeformConv2dPack(4, 8, 3, padding=1), CELLS * (18 + 8) * 4 * 9),
        (ModulatedDeformConv2dPack(4, 8, 3, padding=1), CELLS * (27 + 8) * 4 * 9),
        (DeformConv2dPack(4, 8, 3, padding=1, groups=2), CELLS * (18 * 4 + 8 * 2) * 9),
        (nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 10)), 40),
    ],
)
def test_operations_of_a_padded_image(layer: nn.Module, expected: int) -> None:
    """A stem of stride 2 makes 32×32 cells of 60×40 pixels, padded to 64×64."""
    model = Network(nn.Conv2d(3, 4, 3, stride=2, padding=1), layer)
    counted = count_flops(model, (60, 40))
    assert counted is not None
    assert counted.image_size == (64, 64)
    assert counted.flops == STEM + expected
    assert "forward" not in vars(model)
    assert model.training


class Odd(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        raise NotImplementedError("no trace of me")


def test_a_detector_that_cannot_be_traced_has_none(caplog: pytest.LogCaptureFixture) -> None:
    model = Network(Odd())
    assert count_flops(model, (32, 32)) is None
    assert "no trace of me" in caplog.text
    assert "forward" not in vars(model)


class Unknown(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        return values * 2


class WithUnknown(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return Unknown.apply(values)


def test_an_operation_that_is_left_out_is_named(caplog: pytest.LogCaptureFixture) -> None:
    assert count_flops(Network(WithUnknown()), (32, 32)) is not None
    assert "Unknown is not counted" in caplog.text


def two_stage(proposals: int, seed: int = 0) -> Any:
    init_default_scope("mmdet")
    torch.manual_seed(seed)
    config = Config.fromfile(PROJECT / "config" / "detectors" / "mask_rcnn_small.py")
    config.model.test_cfg.rpn.max_per_img = proposals
    model = MODELS.build(config.model)
    for parameter in model.rpn_head.parameters():
        nn.init.normal_(parameter)
    return model


def flops(model: Any) -> int:
    counted = count_flops(model, (96, 64))
    assert counted is not None
    return counted.flops


def test_a_second_stage_is_counted_for_all_proposals_whatever_the_weights() -> None:
    model = two_stage(200)
    head = FlopAnalyzer(model.roi_head.bbox_head.eval(), torch.zeros(200, 32, 7, 7)).total()
    own = model.rpn_head.test_cfg
    few, many = flops(two_stage(100)), flops(model)
    assert many - few == head / 2
    assert flops(two_stage(200, seed=1)) == many
    assert flops(two_stage(50)) < few
    assert model.rpn_head.test_cfg is own


class Timed:
    """A detector whose images say how many milliseconds they take, and the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.weight = nn.Parameter(torch.zeros(1))

    def parameters(self) -> Any:
        return iter([self.weight])

    def modules(self) -> list[nn.Module]:
        return []

    def eval(self) -> None:
        pass

    def test_step(self, image: dict[str, float]) -> None:
        self.now += image["ms"] / 1000


IMAGES = [{"ms": 1.0}, {"ms": 2.0}, {"ms": 6.0}]


def test_latency_is_the_median_and_says_how_it_was_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """29 ms hold the three images three times, and begin two more steps."""
    model = Timed()
    monkeypatch.setattr("time.perf_counter", lambda: model.now)
    measured = measure_latency(model, IMAGES, 0.029)
    assert measured.images == 11
    assert measured.median == pytest.approx(2)
    assert measured.quartiles == pytest.approx((1, 4))
    assert measured.device.startswith("cpu, ")


def test_slow_detectors_get_a_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Timed()
    monkeypatch.setattr("time.perf_counter", lambda: model.now)
    assert measure_latency(model, IMAGES, 0.0).images == 5
