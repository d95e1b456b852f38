"""The distiller: student and frozen teacher in one model."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from detector_models import (
    SHIPPED_DENSE,
    batch,
    mask_rcnn,
    retinanet,
    retinanet_of_width,
    shipped,
)
from micro import PROJECT
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mtpd.detectors.weights import save_weights
from mtpd.distillation import Distiller
from mtpd.distillation.heads import adapter_of
from mtpd.distillation.pairing import anatomy_of
from mtpd.distillation.start import inherit
from mtpd.errors import UserError

# Those that work between any two detectors.
LOSSES = [{"type": kind} for kind in ("feature_matching", "cwd", "mgd", "fgd")]
# All of them: between two like heads with one prior at a position.
EVERY_LOSS = [*LOSSES, {"type": "pkd"}, {"type": "pgd"}]


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope("mmdet")
    torch.manual_seed(0)


def distiller(student: dict[str, Any], teacher: dict[str, Any], **options: Any) -> Distiller:
    return MODELS.build(
        {
            "type": "Distiller",
            "student": student,
            "teacher": teacher,
            "losses": LOSSES,
            **options,
        }
    )


def losses_of(model: Distiller, data: dict[str, Any]) -> dict[str, Any]:
    data = model.data_preprocessor(data, True)
    return model(data["inputs"], data["data_samples"], mode="loss")


def total_of(losses: dict[str, Any]) -> torch.Tensor:
    return sum(sum(v) if isinstance(v, list) else v for k, v in losses.items() if "loss" in k)


STUDENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "one-stage": retinanet,
    "two-stage with masks": mask_rcnn,
}


@pytest.mark.parametrize("student", STUDENTS.values(), ids=STUDENTS)
@pytest.mark.parametrize("teacher", [mask_rcnn, lambda: retinanet_of_width(48)], ids=["2", "1"])
def test_gradients_reach_student_and_adapters_and_never_the_teacher(
    student: Callable[[], dict[str, Any]], teacher: Callable[[], dict[str, Any]]
) -> None:
    model = distiller(student(), teacher())
    losses = losses_of(model, batch())
    assert {f"loss_distill_{loss['type']}" for loss in LOSSES} <= losses.keys()
    before = {key: value.clone() for key, value in model.teacher.state_dict().items()}
    total_of(losses).backward()
    # Every trainable parameter takes part in every step: data-parallel training needs no crutch.
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert all(p.grad is None for p in model.teacher.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.teacher.state_dict().items())


def test_the_student_s_own_losses_are_as_without_distiller() -> None:
    model = distiller(retinanet(), retinanet_of_width(48))
    plain = MODELS.build(retinanet())
    plain.load_state_dict(model.student.state_dict())
    data = plain.data_preprocessor(batch(), True)
    expected = plain(data["inputs"], data["data_samples"], mode="loss")
    losses = losses_of(model, batch())
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value)


def test_no_part_runs_twice_and_the_teacher_only_as_far_as_its_neck() -> None:
    model = distiller(retinanet(), retinanet_of_width(48))
    calls: dict[str, int] = {}

    def count(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            calls[name] = calls.get(name, 0) + 1

        return hook

    for side in ("student", "teacher"):
        for part in ("backbone", "neck", "bbox_head"):
            getattr(getattr(model, side), part).register_forward_hook(count(f"{side}.{part}"))
    losses_of(model, batch())
    assert calls == {
        "student.backbone": 1,
        "student.neck": 1,
        "student.bbox_head": 1,
        "teacher.backbone": 1,
        "teacher.neck": 1,
    }


def test_the_teacher_stays_in_eval_mode() -> None:
    model = distiller(retinanet(), retinanet())
    model.train()
    assert model.student.training
    assert not any(module.training for module in model.teacher.modules())
    model.eval()
    assert not model.student.training


def test_the_teacher_is_no_part_of_the_model_but_goes_along() -> None:
    model = distiller(retinanet(), retinanet_of_width(48))
    parts = {id(part) for part in model.modules()}
    assert not any(id(part) in parts for part in model.teacher.modules())
    own = {id(p) for p in (*model.parameters(), *model.buffers())}
    assert not any(id(p) in own for p in (*model.teacher.parameters(), *model.teacher.buffers()))
    assert not any(p.requires_grad for p in model.teacher.parameters())
    model.double()
    assert {p.dtype for p in model.teacher.parameters()} == {torch.float64}


def test_checkpoints_hold_no_teacher_and_load_without_complaint() -> None:
    model = distiller(retinanet(), retinanet_of_width(48))
    state = model.state_dict()
    assert not any(key.startswith("teacher.") for key in state)
    assert any(key.startswith("losses.") for key in state)
    other = distiller(retinanet(), retinanet_of_width(48))
    result = other.load_state_dict(state, strict=True)
    assert result.missing_keys == []
    assert all(torch.equal(v, state[k]) for k, v in other.state_dict().items())


def test_predicts_as_the_student() -> None:
    model = distiller(retinanet(), retinanet_of_width(48)).eval()
    data = model.data_preprocessor(batch(), False)
    with torch.no_grad():
        ours = model(data["inputs"], data["data_samples"], mode="predict")
        plain = model.student(data["inputs"], data["data_samples"], mode="predict")
    for one, other in zip(ours, plain, strict=True):
        assert torch.equal(one.pred_instances.bboxes, other.pred_instances.bboxes)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_are_float32_and_finite_under_autocast(dtype: torch.dtype) -> None:
    model = distiller(retinanet(), retinanet_of_width(48))
    with torch.autocast("cpu", dtype=dtype):
        losses = losses_of(model, batch())
    for name in model.loss_names:
        assert losses[name].dtype == torch.float32
        assert torch.isfinite(losses[name])


def test_images_without_boxes_are_an_ordinary_case() -> None:
    model = distiller(retinanet(), retinanet_of_width(48))
    total = total_of(losses_of(model, batch(boxes=0)))
    total.backward()
    assert torch.isfinite(total)


def test_levels_pair_by_stride() -> None:
    # Strides 8 to 64 against 4 to 64: the teacher's finest level has no counterpart.
    model = distiller(retinanet(), mask_rcnn())
    assert model.pair.strides == (8, 16, 32, 64)
    assert (model.pair.student.levels, model.pair.teacher.levels) == ((0, 1, 2, 3), (1, 2, 3, 4))


def test_no_shared_stride_is_one_line() -> None:
    teacher = retinanet(model__neck__start_level=3, model__neck__num_outs=1)
    student = retinanet(
        model__neck__start_level=1,
        model__neck__end_level=2,
        model__neck__num_outs=2,
        model__neck__add_extra_convs=False,
    )
    with pytest.raises(UserError, match=r"share no stride \(8, 16 against 32\)"):
        distiller(student, teacher)


def test_starts_from_weights_that_must_fit(tmp_path: Path) -> None:
    one, other = MODELS.build(retinanet()), MODELS.build(retinanet_of_width(48))
    save_weights(tmp_path / "student.pth", one, ["a", "b", "c"])
    save_weights(tmp_path / "teacher.pth", other, ["a", "b", "c"])
    weights = {
        "student_weights": str(tmp_path / "student.pth"),
        "teacher_weights": str(tmp_path / "teacher.pth"),
    }
    model = distiller(retinanet(), retinanet_of_width(48), **weights)
    model.init_weights()
    for key, value in model.student.state_dict().items():
        assert torch.equal(value, one.state_dict()[key])
    for key, value in model.teacher.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
    swapped = distiller(retinanet_of_width(48), retinanet_of_width(48), **weights)
    with pytest.raises(UserError, match="do not fit"):
        swapped.init_weights()


def test_inherits_neck_and_head_but_not_the_backbone() -> None:
    model = distiller(retinanet(), retinanet(), start="inherit")
    model.init_weights()
    for part in ("neck", "bbox_head"):
        student, teacher = getattr(model.student, part), getattr(model.teacher, part)
        assert all(
            torch.equal(a, b)
            for a, b in zip(student.parameters(), teacher.parameters(), strict=True)
        )
    stem = model.student.backbone.conv1.weight, model.teacher.backbone.conv1.weight
    assert not torch.equal(*stem)


def dense(head: str, **options: Any) -> dict[str, Any]:
    return shipped(SHIPPED_DENSE[head], **{"model.bbox_head.num_classes": 3, **options})


@pytest.mark.parametrize("head", SHIPPED_DENSE)
class TestDenseHeads:
    """All losses at once, prediction-guided distillation among them."""

    def build(self, head: str) -> Distiller:
        return distiller(dense(head), dense(head), losses=EVERY_LOSS)

    def test_gradients_reach_student_and_adapters_and_never_the_teacher(self, head: str) -> None:
        model = self.build(head)
        before = {key: value.clone() for key, value in model.teacher.state_dict().items()}
        losses = losses_of(model, batch())
        assert {f"loss_distill_{loss['type']}" for loss in EVERY_LOSS} <= losses.keys()
        total_of(losses).backward()
        without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert without == []
        assert all(p.grad is None for p in model.teacher.parameters())
        assert all(torch.equal(v, before[k]) for k, v in model.teacher.state_dict().items())

    def test_pgd_alone_moves_the_towers_first_convolutions_and_no_later_ones(
        self, head: str
    ) -> None:
        model = distiller(dense(head), dense(head), losses=[{"type": "pgd"}])
        losses_of(model, batch())["loss_distill_pgd"].backward()
        own = model.student.bbox_head
        for convolutions in (own.cls_convs, own.reg_convs):
            assert convolutions[0].conv.weight.grad.abs().sum() > 0
            assert convolutions[1].conv.weight.grad is None

    def test_no_head_runs_twice(self, head: str) -> None:
        model = self.build(head)
        calls: list[str] = []
        for side in ("student", "teacher"):
            part = getattr(model, side).bbox_head
            part.register_forward_hook(lambda *_, side=side: calls.append(side))
        losses_of(model, batch())
        assert sorted(calls) == ["student", "teacher"]

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_finite_under_autocast(
        self, head: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = self.build(head)
        # The student's own losses are MMDetection's matter; AutoAssign's do not work like this.
        monkeypatch.setattr(model.student.bbox_head, "loss_by_feat", lambda *_, **__: {})
        maps: list[torch.Tensor] = []
        for part in (model.student.neck, *adapter_of(model.student).first_convolutions):
            part.register_forward_hook(lambda *call: maps.extend(_retained(call[-1])))
        with torch.autocast("cpu", dtype=dtype):
            losses = losses_of(model, batch())
        for name in model.loss_names:
            assert losses[name].dtype == torch.float32
            assert torch.isfinite(losses[name])
        total_of(losses).backward()
        grads = [level.grad for level in maps] + [p.grad for p in model.losses.parameters()]
        assert len(maps) == 15  # five levels of the neck and of two towers
        assert all(grad.isfinite().all() for grad in grads)

    def test_images_without_boxes_are_an_ordinary_case(self, head: str) -> None:
        model = self.build(head)
        losses = losses_of(model, batch(boxes=0))
        sum(losses[name] for name in model.loss_names).backward()
        assert all(torch.isfinite(losses[name]) for name in model.loss_names)

    def test_the_teacher_s_features_carry_no_graph(self, head: str) -> None:
        model = self.build(head)
        data = model.data_preprocessor(batch(), True)
        found = model._teacher_features(data["inputs"], data["data_samples"])
        maps = [*found.fpn, *found.classification, *found.regression]
        assert len(maps) == 15
        everything = [*maps, found.predictions.scores, found.predictions.boxes]
        assert not any(tensor.requires_grad for tensor in everything)

    def test_a_pass_in_between_changes_nothing(self, head: str) -> None:
        model = distiller(dense(head), dense(head), losses=[{"type": "pgd"}])
        copied = copy.deepcopy(model)
        first = losses_of(model, batch())["loss_distill_pgd"]
        data = model.data_preprocessor(batch(seed=1), True)
        model.student(data["inputs"], data["data_samples"], mode="tensor")
        for one in (model, copied):
            torch.testing.assert_close(losses_of(one, batch())["loss_distill_pgd"], first)

    def test_predicting_leaves_no_maps_behind(self, head: str) -> None:
        model = self.build(head).eval()
        data = model.data_preprocessor(batch(), False)
        with torch.no_grad():
            model(data["inputs"], data["data_samples"], mode="predict")
        losses_of(model.train(), batch())
        assert model._towers[0].take() == model._towers[1].take() == ([], [])


def _retained(output: Any) -> list[torch.Tensor]:
    """The maps of one call, told to keep their gradients."""
    maps = [output] if isinstance(output, torch.Tensor) else list(output)
    for level in maps:
        level.retain_grad()
    return maps


def test_towers_of_unlike_heads_and_widths_are_adapted() -> None:
    narrow = {"model.bbox_head.feat_channels": 64}
    model = distiller(dense("ATSSHead", **narrow), dense("GFLHead"), losses=[{"type": "pgd"}])
    loss = model.losses[0]
    assert loss.classification_adapter.levels[0].weight.shape[:2] == (256, 64)
    losses_of(model, batch())["loss_distill_pgd"].backward()
    assert all(p.grad is not None for p in loss.parameters())


def test_levels_of_unlike_index_are_paired_by_stride() -> None:
    fewer = {
        "model.neck.num_outs": 4,
        "model.bbox_head.anchor_generator.strides": [8, 16, 32, 64],
    }
    later = {
        "model.neck.start_level": 2,
        "model.neck.num_outs": 4,
        "model.bbox_head.anchor_generator.strides": [16, 32, 64, 128],
    }
    for student, teacher in ((fewer, later), (later, fewer)):
        model = distiller(
            dense("ATSSHead", **student), dense("GFLHead", **teacher), losses=[{"type": "pgd"}]
        )
        assert model.pair.strides == (16, 32, 64)
        found = model._teacher_features(torch.rand(1, 3, 128, 128), [])
        assert [level.shape[-1] for level in found.regression] == [8, 4, 2]
        assert len(found.predictions.points) == 64 + 16 + 4
        losses_of(model, batch(size=128))["loss_distill_pgd"].backward()


def test_heads_for_unlike_classes_cannot_be_compared() -> None:
    with pytest.raises(UserError, match=r"as many classes \(they have 3 and 2\)"):
        two = {"model.bbox_head.num_classes": 2}
        distiller(dense("ATSSHead"), dense("GFLHead", **two), losses=[{"type": "pgd"}])


def test_two_mechanisms_count_by_their_weights() -> None:
    torch.manual_seed(0)
    losses = [{"type": "feature_matching", "weight": 0.5}, {"type": "cwd", "weight": 3}]
    model = distiller(retinanet(), retinanet_of_width(48), losses=losses)
    found = losses_of(model, batch())
    for loss, factor in zip(model.losses, (2, 5), strict=True):
        loss.weight *= factor
    more = losses_of(model, batch())
    for name, factor in (("feature_matching", 2), ("cwd", 5)):
        one, other = (values[f"loss_distill_{name}"] for values in (found, more))
        torch.testing.assert_close(other, factor * one)


def test_says_what_it_inherits_and_by_which_levels(caplog: pytest.LogCaptureFixture) -> None:
    model = distiller(retinanet(), retinanet_of_width(48), start="inherit")
    MMLogger.get_current_instance().addHandler(caplog.handler)
    try:
        model.init_weights()
    finally:
        MMLogger.get_current_instance().removeHandler(caplog.handler)
    lines = [record.getMessage() for record in caplog.records]
    assert "levels are paired by stride: 8, 16, 32, 64" in lines
    assert any(line.startswith("distillation loss: type='mgd' weight=2e-05") for line in lines)
    assert "inherited from the teacher: bbox_head.cls_convs.0.bn.num_batches_tracked" in lines
    left = [line for line in lines if line.startswith("not inherited: neck.lateral_convs.0.conv")]
    assert left == [
        "not inherited: neck.lateral_convs.0.conv.weight "
        "(shape (32, 32, 1, 1), the teacher's is (48, 32, 1, 1))"
    ]


def test_a_neck_of_other_levels_is_not_inherited() -> None:
    model = distiller(mask_rcnn(), retinanet(), start="inherit")
    before = {name: value.clone() for name, value in model.student.neck.state_dict().items()}
    taken = inherit(model.student.state_dict(), model.teacher.state_dict(), model.pair.same_levels)
    assert not any(name.startswith("neck.") for name in taken.copied)
    assert set(before) == {name.removeprefix("neck.") for name in taken.left if "neck." in name}


def test_a_known_anatomy_needs_no_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    described = retinanet(), retinanet_of_width(48)
    known = tuple(asdict(anatomy_of(MODELS.build(model))) for model in described)
    expected = distiller(*described).pair

    def fail(*_: Any) -> None:
        raise AssertionError("a forward pass")

    monkeypatch.setattr("mtpd.distillation.pairing.fpn_levels", fail)
    assert distiller(*described, anatomies=known).pair == expected


def normed(width: int = 32) -> dict[str, Any]:
    """RetinaNet with group norm in its neck."""
    model = retinanet_of_width(width)
    model["neck"]["norm_cfg"] = {"type": "GN", "num_groups": 4, "requires_grad": True}
    return model


def test_maps_before_the_neck_s_norm() -> None:
    """Both sides' are the convolutions' own; the student's head still sees the normed ones."""
    model = distiller(normed(), normed(48), losses=[{"type": "cwd"}], before_norm=True)
    seen: dict[str, list[torch.Tensor]] = {"student": [], "teacher": []}
    for name in seen:
        for module in getattr(model, name).neck.fpn_convs:
            module.conv.register_forward_hook(lambda *a, to=seen[name]: to.append(a[2]))
    taken: list[Any] = []
    model.losses[0].forward = lambda own, other, _: taken.extend((own, other)) or torch.tensor(0.0)
    losses = losses_of(model, batch())
    for features, name in zip(taken, seen, strict=True):
        for found, expected in zip(features.fpn, seen[name], strict=True):
            assert torch.equal(found, expected)
    assert losses["loss_distill_cwd"] == 0


def test_a_neck_that_pools_has_no_maps_before_a_norm() -> None:
    with pytest.raises(UserError, match="FPN: does not have one convolution for each level"):
        distiller(mask_rcnn(), normed(), losses=[{"type": "cwd"}], before_norm=True)


def test_a_neck_with_further_convolutions_has_none_either() -> None:
    other = normed()
    other["neck"]["type"] = "PAFPN"
    with pytest.raises(UserError, match="PAFPN: does not have one convolution for each level"):
        distiller(other, normed(), losses=[{"type": "cwd"}], before_norm=True)


def test_a_pooled_level_is_not_distilled_twice() -> None:
    """Mask R-CNN's last level is a subsample of the one before; RetinaNet's is not."""
    same = distiller(mask_rcnn(), mask_rcnn()).pair
    assert same.strides == (4, 8, 16, 32)
    assert same.same_levels  # so that the student can inherit the whole neck
    assert 64 in distiller(mask_rcnn(), retinanet()).pair.strides


def test_stochastic_depth_of_the_teacher() -> None:
    swin = Config.fromfile(PROJECT / "config" / "detectors" / "retinanet_swin_w20.py").model
    swin.backbone.drop_path_rate = 0.5
    for stochastic in (False, True):
        model = distiller(
            retinanet(), swin, losses=[{"type": "cwd"}], stochastic_depth=stochastic
        ).train()
        data = model.data_preprocessor(batch(), True)
        one, other = (
            model._teacher_features(data["inputs"], data["data_samples"]).fpn[0] for _ in range(2)
        )
        assert torch.equal(one, other) is not stochastic


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"teacher_precision": "bf16"}, 0.1),
        ({"teacher_precision": "fp32"}, 0),
        ({"channels_last": True}, 1e-4),
    ],
    ids=["bf16", "fp32", "channels_last"],
)
def test_how_the_teacher_s_pass_is_computed(options: dict[str, Any], tolerance: float) -> None:
    described = retinanet(), retinanet_of_width(48)
    plain, other = distiller(*described), distiller(*described, **options)
    other.load_state_dict(plain.state_dict())
    other.teacher.load_state_dict(plain.teacher.state_dict())
    data = plain.data_preprocessor(batch(), True)
    maps = [
        model._teacher_features(data["inputs"], data["data_samples"]).fpn
        for model in (plain, other)
    ]
    for expected, found in zip(*maps, strict=True):
        assert found.dtype == torch.float32
        scale = float(expected.abs().max())
        assert float((expected - found).abs().max()) <= tolerance * scale
    if "bf16" in options.values():
        assert not torch.equal(maps[0][0], maps[1][0])


def test_ld_is_the_loss_of_mmdetection_s_own_head() -> None:
    """Of the same student, teacher and batch, whose second image has no boxes."""
    ld = {"type": "ld", "weight": 0.5, "temperature": 7}
    model = distiller(dense("GFLHead"), dense("GFLHead"), losses=[ld])
    for head in (model.student.bbox_head, model.teacher.bbox_head):
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    raw = batch(images=3, size=128)
    raw["data_samples"][1].gt_instances = raw["data_samples"][1].gt_instances[:0]
    data = model.data_preprocessor(raw, True)
    inputs, samples = data["inputs"], data["data_samples"]
    loss_ld = {"type": "KnowledgeDistillationKLDivLoss", "loss_weight": 0.5, "T": 7}
    own = copy.deepcopy(dense("GFLHead").bbox_head)
    reference = MODELS.build(
        {
            **own, "type": "LDHead", "loss_ld": loss_ld,
            "train_cfg": dense("GFLHead").train_cfg, "test_cfg": dense("GFLHead").test_cfg,
        }
    )  # fmt: skip
    reference.load_state_dict(model.student.bbox_head.state_dict())
    with torch.no_grad():
        of_teacher = model.teacher.bbox_head(model.teacher.extract_feat(inputs))
        expected = reference.loss(model.student.extract_feat(inputs), of_teacher, samples)
        found = model(inputs, samples, mode="loss")
    assert sum(expected["loss_ld"]) > 0
    torch.testing.assert_close(found["loss_distill_ld"], sum(expected["loss_ld"]))


def test_ld_beside_pgd_reaches_the_student_and_never_the_teacher() -> None:
    losses = [{"type": "ld"}, {"type": "pgd"}]
    model = distiller(dense("GFLHead"), dense("GFLHead"), losses=losses)
    found = losses_of(model, batch(size=128))
    found["loss_distill_ld"].backward(retain_graph=True)
    assert model.student.bbox_head.gfl_reg.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.teacher.parameters())
    assert found["loss_distill_pgd"] > 0
    model(batch(size=128)["inputs"][0][None].float(), mode="tensor")
    assert model._output_tap is not None
    assert model._output_tap.take() is None


@pytest.mark.parametrize("head", ["ATSSHead", "FCOSHead"])
def test_ld_needs_distributions(head: str) -> None:
    with pytest.raises(UserError, match=f"teacher: {head}: ld needs a head that predicts distr"):
        distiller(dense("GFLHead"), dense(head), losses=[{"type": "ld"}])


def test_bckd_is_computed_from_what_both_heads_predict() -> None:
    """Of a RetinaNet, with several anchors at a position, whose own losses stay as they are."""
    model = distiller(retinanet(), retinanet(), losses=[{"type": "bckd"}])
    for side, head in enumerate((model.student.bbox_head, model.teacher.bbox_head)):
        torch.manual_seed(side)
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    data = model.data_preprocessor(batch(images=3, size=64), True)
    inputs, samples = data["inputs"], data["data_samples"]
    found = model(inputs, samples, mode="loss")
    plain = model.student(inputs, samples, mode="loss")
    for name, values in plain.items():
        torch.testing.assert_close(found[name], values)

    own, other = (
        adapter.predictions(detector.bbox_head(detector.extract_feat(inputs)), side.levels)
        for adapter, detector, side in zip(
            model._heads,
            (model.student, model.teacher),
            (model.pair.student, model.pair.teacher),
            strict=True,
        )
    )
    score, target = own.logits.sigmoid(), other.logits.sigmoid()
    apart = (target - score).abs()
    entropy = -(target * score.log() + (1 - target) * (1 - score).log())
    unlike = 1 - torch.stack(
        [
            bbox_overlaps(one, two, mode="giou", is_aligned=True)
            for one, two in zip(own.boxes, other.boxes, strict=True)
        ]
    )
    outputs = model.student.bbox_head(model.student.extract_feat(inputs))
    positives = model._heads[0].positive_count(outputs, samples)
    expected = ((apart * entropy).sum() + 4 * (apart.amax(2) * unlike).sum()) / positives
    torch.testing.assert_close(found["loss_distill_bckd"], expected, rtol=1e-4, atol=1e-5)
    found["loss_distill_bckd"].backward()
    assert model.student.bbox_head.retina_reg.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.teacher.parameters())


def test_bckd_between_heads_of_two_kinds() -> None:
    """Each decodes its own boxes; the student's in training, where FCOS has other units."""
    model = distiller(dense("FCOSHead"), dense("ATSSHead"), losses=[{"type": "bckd"}])
    assert losses_of(model, batch(size=128))["loss_distill_bckd"] > 0


@pytest.mark.parametrize(
    ("student", "teacher", "words"),
    [
        ("FCOSHead", None, r"bckd needs as many priors at a position \(they have 1 and 3\)"),
        ("DDODHead", "ATSSHead", "student: DDODHead: bckd divides by the number of positives"),
        ("FCOSHead", "AutoAssignHead", "teacher: AutoAssignHead: bckd cannot read what this head"),
    ],
)
def test_bckd_needs_the_same_priors(student: str, teacher: str | None, words: str) -> None:
    other = dense(teacher) if teacher else retinanet()
    with pytest.raises(UserError, match=words):
        distiller(dense(student), other, losses=[{"type": "bckd"}])


def test_bckd_needs_the_same_anchors() -> None:
    other = retinanet(model__bbox_head__anchor_generator__ratios=[0.5])
    with pytest.raises(UserError, match="bckd needs the same anchors"):
        distiller(retinanet(), other, losses=[{"type": "bckd"}])


def test_maps_before_the_norm_are_not_for_a_head() -> None:
    with pytest.raises(UserError, match="neck's losses, but bckd needs a head"):
        distiller(retinanet(), retinanet(), losses=[{"type": "bckd"}], before_norm=True)


def dino() -> dict[str, Any]:
    """A small detector of DETR's kind: what its neck gives goes to an encoder."""
    options = {
        "model.neck.in_channels": [128, 256, 512],
        "model.bbox_head.num_classes": 3,
        "model.encoder.num_layers": 1,
        "model.decoder.num_layers": 1,
        "model.num_queries": 10,
    }
    return shipped("dino/dino-4scale_r50_8xb2-12e_coco.py", **options)


@pytest.mark.slow
def test_detectors_of_detr_s_kind_learn_and_teach_by_their_necks() -> None:
    """Each of the two with a dense detector."""
    wide = {"model__neck__out_channels": 256, "model__bbox_head__in_channels": 256}
    losses = [*LOSSES, {"type": "pkd"}]
    for student, teacher in ((dino(), retinanet(**wide)), (retinanet(**wide), dino())):
        model = distiller(student, teacher, losses=losses)
        assert model.pair.strides == (8, 16, 32, 64)
        found = losses_of(model, batch(size=128))
        total_of(found).backward()
        assert all(found[f"loss_distill_{loss['type']}"] > 0 for loss in losses)
        assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    with pytest.raises(UserError, match="teacher: DINOHead: pgd cannot read this head"):
        distiller(dense("GFLHead"), dino(), losses=[{"type": "pgd"}])
