"""Adapters of dense heads, against what MMDetection itself predicts and computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from detector_models import RETINANET, SHIPPED_DENSE, batch, shipped
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from mtpd.distillation.heads import ADAPTERS, adapter_of
from mtpd.distillation.towers import TowerTap
from mtpd.errors import UserError


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope("mmdet")
    torch.manual_seed(0)


def built(config: str) -> Any:
    """A shipped detector in eval mode, its head drawn at random so that boxes and scores differ."""
    detector = MODELS.build(shipped(config)).eval()
    for module in detector.bbox_head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.05)
    return detector


SOFTMAX = {"_delete_": True, "type": "CrossEntropyLoss", "use_sigmoid": False}


def test_every_adapter_is_tried() -> None:
    assert {*SHIPPED_DENSE, "RetinaHead"} == set(ADAPTERS)


def test_fcos_whose_distances_are_powers() -> None:
    """Older FCOS, which gives exp(x) in pixels where newer ones give x in strides."""
    _compare_predictions(built("fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py"))


@pytest.mark.parametrize("head", SHIPPED_DENSE)
class TestEveryHead:
    def test_predictions_are_those_of_mmdetection(self, head: str) -> None:
        _compare_predictions(built(SHIPPED_DENSE[head]))

    def test_levels_are_chosen(self, head: str) -> None:
        detector = built(SHIPPED_DENSE[head])
        with torch.no_grad():
            outputs = detector.bbox_head(detector.extract_feat(torch.rand(2, 3, 64, 64)))
        adapter = adapter_of(detector)
        everything, part = (adapter.predictions(outputs, levels) for levels in (range(5), (1, 3)))
        kept = [*range(64, 80), 84]  # of 8², 4², 2², 1², 1² positions: 4², 1²
        assert part.points.tolist() == everything.points[kept].tolist()
        torch.testing.assert_close(part.boxes, everything.boxes[:, kept])
        torch.testing.assert_close(part.logits, everything.logits[:, kept])

    def test_points_lie_on_the_grid_of_their_level(self, head: str) -> None:
        detector = built(SHIPPED_DENSE[head])
        with torch.no_grad():
            outputs = detector.bbox_head(detector.extract_feat(torch.rand(1, 3, 64, 64)))
        points = adapter_of(detector).predictions(outputs, (0,)).points
        assert points.shape == (64, 2)
        steps = points.view(8, 8, 2)
        assert (steps[:, 1:, 0] - steps[:, :-1, 0] == 8).all()  # x along a row
        assert (steps[1:, :, 1] - steps[:-1, :, 1] == 8).all()

    def test_towers_are_those_after_the_first_convolution(self, head: str) -> None:
        detector = built(SHIPPED_DENSE[head])
        adapter = adapter_of(detector)
        tap = TowerTap(adapter)
        with torch.no_grad():
            maps = detector.extract_feat(torch.rand(2, 3, 64, 64))
            detector.bbox_head(maps)
            detector.bbox_head(maps)  # the latest pass counts
            classification, regression = tap.take()
            assert tap.take() == ([], [])
            for level, own in enumerate(maps):
                expected = detector.bbox_head.cls_convs[0](own)
                torch.testing.assert_close(classification[level], expected)
                expected = detector.bbox_head.reg_convs[0](own)
                torch.testing.assert_close(regression[level], expected)
        assert classification[0].shape[1] == adapter.tower_channels


def test_scores_are_those_of_the_class_and_position() -> None:
    detector = built(SHIPPED_DENSE["FCOSHead"])
    levels = [torch.randn(2, 80, 3, 4) for _ in range(5)]
    outputs = (levels, [torch.rand(2, 4, 3, 4)] * 5)
    found = adapter_of(detector).predictions(outputs, (3,))
    expected = float(levels[3][1, 7, 2, 1].sigmoid())
    assert float(found.logits[1, 2 * 4 + 1, 7].sigmoid()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model.bbox_head.stacked_convs": 0}, "towers have no convolution"),
        ({"model.bbox_head.anchor_generator.ratios": [0.5, 1.0]}, "2 priors at a position"),
        ({"model.bbox_head.loss_cls": SOFTMAX}, "scores are no sigmoids"),
    ],
)
def test_heads_that_cannot_be_read_say_why(options: dict[str, Any], words: str) -> None:
    detector = MODELS.build(shipped(SHIPPED_DENSE["ATSSHead"], **options))
    assert words in adapter_of(detector).obstacle


def test_no_adapter_for_other_heads() -> None:
    assert adapter_of(MODELS.build(shipped("free_anchor/freeanchor_r50_fpn_1x_coco.py"))) is None


def test_nine_anchors_at_a_position() -> None:
    """Their predictions can be read; for PGD, which needs one prior, they are too many."""
    detector = built(RETINANET)
    _compare_predictions(detector)
    adapter = adapter_of(detector)
    assert adapter is not None
    assert adapter.priors == 9
    assert adapter.obstacle == "it has 9 priors at a position instead of one"
    level = torch.randn(2, 9 * 80, 3, 4)
    found = adapter.predictions(([level] * 5, [torch.randn(2, 36, 3, 4)] * 5), (3,))
    expected = level[1, 5 * 80 + 7, 2, 1]  # image 1, anchor 5, class 7, row 2, column 1
    assert float(found.logits[1, (2 * 4 + 1) * 9 + 5, 7]) == float(expected)
    assert found.points[:9].tolist() == [[0, 0]] * 9


@pytest.mark.parametrize("head", [*SHIPPED_DENSE, "RetinaHead"])
def test_boxes_are_the_same_in_training(head: str) -> None:
    """FCOS then gives distances in other units."""
    detector = built({**SHIPPED_DENSE, "RetinaHead": RETINANET}[head])
    adapter = adapter_of(detector)
    assert adapter is not None
    found = []
    with torch.no_grad():
        maps = detector.extract_feat(torch.rand(2, 3, 64, 64))
        for training in (False, True):
            detector.bbox_head.train(training)
            found.append(adapter.predictions(detector.bbox_head(maps), range(5)))
    torch.testing.assert_close(found[0].boxes, found[1].boxes)
    torch.testing.assert_close(found[0].logits, found[1].logits)


@pytest.mark.parametrize(
    "head", [head for head, adapter in ADAPTERS.items() if adapter.counts_positives]
)
def test_positives_are_counted_as_the_head_s_own_loss_counts_them(
    head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = built({**SHIPPED_DENSE, "RetinaHead": RETINANET}[head]).train()
    adapter = adapter_of(detector)
    assert adapter is not None
    data = detector.data_preprocessor(batch(images=3, size=64), True)
    divisors = []
    own = detector.bbox_head.loss_cls
    forward = type(own).forward

    def counted(*args: Any, **options: Any) -> Any:
        divisors.append(options["avg_factor"])
        return forward(*args, **options)

    monkeypatch.setattr(type(own), "forward", counted)
    outputs = detector.bbox_head(detector.extract_feat(data["inputs"]))
    detector.bbox_head.loss(detector.extract_feat(data["inputs"]), data["data_samples"])
    assert adapter.positive_count(outputs, data["data_samples"]) == float(divisors[0]) > 0


def _compare_predictions(detector: Any) -> None:
    # All positions and classes, none left out by threshold or suppression.
    everything = {"nms_pre": 10**6, "score_thr": -1.0, "min_bbox_size": -1}
    detector.bbox_head.test_cfg.update(everything)
    data = detector.data_preprocessor(batch(images=2, size=64), False)
    with torch.no_grad():
        maps = detector.extract_feat(data["inputs"])
        outputs = detector.bbox_head(maps)
        expected = detector.bbox_head.predict_by_feat(
            *outputs,
            batch_img_metas=[{"img_shape": (10**6, 10**6)}] * 2,
            with_nms=False,
            rescale=False,
        )
    found = adapter_of(detector).predictions(outputs, range(len(maps)))
    positions, classes = len(found.points), found.logits.shape[-1]
    for image, own in enumerate(expected):
        # MMDetection gives a box once for every class; boxes are clipped to the image.
        assert len(own) == positions * classes
        distances = torch.cdist(own.bboxes.double(), found.boxes[image].clamp(min=0).double())
        assert distances.min(0).values.max() < 1e-3
        assert distances.min(1).values.max() < 1e-3


def test_gfl_as_pgd_s_release_reads_it() -> None:
    """Image i is decoded by the stride of level i, whatever the level."""
    adapter = adapter_of(built(SHIPPED_DENSE["GFLHead"]))
    assert adapter is not None
    bins = adapter.head.reg_max + 1
    raw = torch.zeros(3, 4, 4 * bins)  # uniform: the mean distance is reg_max / 2
    priors = torch.zeros(3, 4, 4)
    half = adapter.head.reg_max / 2
    assert adapter.decode(priors, raw, 1)[..., 2].unique().tolist() == [16 * half]
    adapter.as_released = True
    found = adapter.decode(priors, raw, 1)[..., 2]
    assert found[:, 0].tolist() == [8 * half, 16 * half, 32 * half]
    with pytest.raises(UserError, match="at most 5 images on one GPU with GFL, not 6"):
        adapter.decode(priors[:1].expand(6, -1, -1), raw[:1].expand(6, -1, -1), 1)
