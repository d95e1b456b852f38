"""Checkpoints of MMDetection 2, checkpoints of trainings, and weights to train on from."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detector_models import mask_rcnn, retinanet, retinanet_of_width, shipped
from mmdet.registry import MODELS
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mtpd.detectors.weights import load_start, load_weights, read_checkpoint, save_weights
from mtpd.errors import UserError

FCOS = "fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py"
CLASSES = ("a", "b", "c")


def built(model: Any) -> nn.Module:
    init_default_scope("mmdet")
    return MODELS.build(model)


def old(
    path: Path,
    state: dict[str, Tensor],
    versions: dict[str, Any] | None = None,
    prefix: str = "",
    classes: Any = CLASSES,
    **more: Any,
) -> Path:
    """Write ``state`` as MMDetection 2 did after a training."""
    named = OrderedDict((prefix + key, value) for key, value in state.items())
    if versions is not None:
        named._metadata = OrderedDict(versions)
    meta = {
        "mmdet_version": "2.25.0",
        "config": "model = dict()",
        "epoch": 12,
        "CLASSES": classes,
        "PALETTE": [(220, 20, 60)],
        "hook_msgs": {"best_score": np.float64(0.365)},
    }
    optimizer = {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": [{"lr": 0.01}]}
    torch.save({"meta": meta, "state_dict": named, "optimizer": optimizer, **more}, path)
    return path


def same(model: nn.Module, other: nn.Module) -> bool:
    state = other.state_dict()
    return all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_an_old_checkpoint_loads_with_its_classes(tmp_path: Path) -> None:
    source, model = built(retinanet()), built(retinanet())
    state = {k: v for k, v in source.state_dict().items() if "num_batches_tracked" not in k}
    path = old(tmp_path / "old.pth", state, prefix="module.")
    assert load_weights(model, path) == CLASSES
    assert same(model, source)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_names_of_early_versions_are_what_mmdetection_makes_of_them(
    tmp_path: Path, prefix: str
) -> None:
    source, model = built(shipped(FCOS)), built(shipped(FCOS))
    names = {"conv_cls": "fcos_cls", "conv_reg": "fcos_reg", "conv_centerness": "fcos_centerness"}
    state = {}
    for key, value in source.state_dict().items():
        parts = key.split(".")
        state[".".join(names.get(part, part) for part in parts)] = value
    assert "bbox_head.fcos_cls.weight" in state
    versions = {(prefix + "bbox_head").removesuffix("."): {}, prefix.removesuffix("."): {}}
    load_weights(model, old(tmp_path / "old.pth", state, versions, prefix))
    assert same(model, source)


def test_the_versions_of_modules_are_kept(tmp_path: Path) -> None:
    """A head of the present version does not take old names: they are said to be too many."""
    source = built(shipped(FCOS))
    state = {k.replace("conv_cls", "fcos_cls"): v for k, v in source.state_dict().items()}
    path = old(tmp_path / "new.pth", state, {"module.bbox_head": {"version": 1}}, "module.")
    with pytest.raises(UserError, match=r"2 missing .*conv_cls.*2 too many .*fcos_cls"):
        load_weights(built(shipped(FCOS)), path)


def test_the_checkpoint_of_a_training_loads_without_trust(tmp_path: Path) -> None:
    source, model = built(retinanet()), built(retinanet())
    hub = MessageHub.get_instance("old")
    for loss in (1.0, np.float32(0.5)):
        hub.update_scalar("train/loss", loss)
    hub.update_info("epoch", np.int64(3))
    more = {"message_hub": hub.state_dict(), "ema_state_dict": {"steps": np.arange(3)}}
    path = old(tmp_path / "epoch_3.pth", source.state_dict(), **more)
    assert load_weights(model, path) == CLASSES
    assert same(model, source)


class Through:
    """Is unpickled by ``getattr`` of an owner's member."""

    def __init__(self, owner: Any, name: str) -> None:
        self.call = owner, name

    def __reduce__(self) -> Any:
        return getattr, self.call


@pytest.mark.parametrize(
    ("owner", "name"), [(HistoryBuffer, "__init__"), (np.ndarray, "tofile"), (HistoryBuffer, "mro")]
)
def test_what_logged_figures_may_do_opens_no_other_door(
    tmp_path: Path, owner: Any, name: str
) -> None:
    path = tmp_path / "model.pth"
    torch.save({"state_dict": {}, "meta": Through(owner, name)}, path)
    with pytest.raises(UserError, match="could run code"):
        read_checkpoint(path)


class Made:
    """Is unpickled by a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "made",
    [
        Made(np.ndarray, (1,), "O", bytes(8)),
        Made(np.ndarray, (1,), "f8", bytes(8)),
        Made(np.dtype, "O"),
        Made(np.dtype, "V8"),
        Made(np.zeros(1).__reduce__()[0], np.recarray, (0,), b"b"),
    ],
)
def test_no_array_is_made_of_bytes_that_may_be_pointers(tmp_path: Path, made: Made) -> None:
    path = tmp_path / "model.pth"
    torch.save({"state_dict": {}, "meta": made}, path)
    with pytest.raises(UserError, match="could run code"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("meta", "classes"),
    [
        ({"CLASSES": "person"}, ("person",)),
        ({"dataset_meta": {"CLASSES": ["a", "b"]}}, ("a", "b")),
        ({"dataset_meta": {"classes": ("a",)}, "CLASSES": ("z",)}, ("a",)),
        ({"CLASSES": None}, None),
        ("no dictionary", None),
    ],
)
def test_classes_as_every_version_records_them(tmp_path: Path, meta: Any, classes: Any) -> None:
    path = tmp_path / "model.pth"
    torch.save({"state_dict": {"w": torch.ones(1)}, "meta": meta}, path)
    assert read_checkpoint(path)[1] == classes


def test_a_start_for_other_classes_keeps_all_but_their_tensors(tmp_path: Path) -> None:
    source, model = built(retinanet()), built(retinanet(model__bbox_head__num_classes=5))
    left = load_start(model, tuple("vwxyz"), old(tmp_path / "old.pth", source.state_dict()))
    assert left == ("bbox_head.retina_cls.weight", "bbox_head.retina_cls.bias")
    taken = source.state_dict()
    assert all(torch.equal(v, taken[k]) for k, v in model.state_dict().items() if k not in left)
    save_weights(tmp_path / "start.pth", model, tuple("vwxyz"), left)
    assert not set(left) & read_checkpoint(tmp_path / "start.pth")[0].keys()


def test_a_start_of_two_stages_leaves_all_that_follows_from_classes(tmp_path: Path) -> None:
    settings = mask_rcnn()
    source = built(settings)
    settings.roi_head.bbox_head.num_classes = settings.roi_head.mask_head.num_classes = 5
    left = load_start(built(settings), tuple("vwxyz"), old(tmp_path / "o.pth", source.state_dict()))
    assert {key.rpartition(".")[0] for key in left} == {
        "roi_head.bbox_head.fc_cls",
        "roi_head.bbox_head.fc_reg",
        "roi_head.mask_head.conv_logits",
    }


def test_a_start_for_the_same_classes_has_to_fit(tmp_path: Path) -> None:
    path = old(tmp_path / "old.pth", built(retinanet()).state_dict())
    model = built(retinanet(model__bbox_head__num_classes=5))
    with pytest.raises(UserError, match=r"2 of other shape .*retina_cls"):
        load_start(model, CLASSES, path)


def test_a_start_of_another_architecture_is_refused(tmp_path: Path) -> None:
    path = old(tmp_path / "old.pth", built(retinanet_of_width(48)).state_dict())
    with pytest.raises(UserError, match="do not fit the detector's config"):
        load_start(built(retinanet()), tuple("xyz"), path)
