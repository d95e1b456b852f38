"""What a checkpoint may be, and what is said of one that is not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from detector_models import retinanet, retinanet_of_width
from mmdet.apis import inference_detector, init_detector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mtpd.detectors.weights import load_weights, read_checkpoint, save_weights
from mtpd.errors import UserError
from mtpd.files import sha256_of


@pytest.fixture
def detector() -> nn.Module:
    init_default_scope("mmdet")
    return MODELS.build(retinanet())


class Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def test_the_same_weights_have_the_same_bytes(detector: nn.Module, tmp_path: Path) -> None:
    """Whatever follows is known by their digest."""
    one, other = tmp_path / "model.pth", tmp_path / "student.pth"
    for path in (one, other):
        save_weights(path, detector, ["a", "b", "c"])
    assert sha256_of(one) == sha256_of(other)


def test_round_trip_keeps_every_tensor_and_the_classes(detector: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    save_weights(path, detector, ["a", "b", "c"])
    state, classes = read_checkpoint(path)
    assert classes == ("a", "b", "c")
    assert state.keys() == detector.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in detector.state_dict().items())


def test_mmdetection_loads_it_as_it_is(detector: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    save_weights(path, detector, ["a", "b", "c"])
    pipeline = [
        {"type": "LoadImageFromNDArray"},
        {"type": "Resize", "scale": (64, 64)},
        {"type": "PackDetInputs", "meta_keys": ("img_shape", "ori_shape", "scale_factor")},
    ]
    config = Config(
        {
            "model": retinanet(),
            "test_dataloader": {"dataset": {"type": "CocoDataset", "pipeline": pipeline}},
            "default_scope": "mmdet",
        }
    )
    loaded = init_detector(config, str(path), device="cpu")
    assert loaded.dataset_meta["classes"] == ("a", "b", "c")
    assert all(
        torch.equal(value, detector.state_dict()[key]) for key, value in loaded.state_dict().items()
    )
    image = torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()
    assert "pred_instances" in inference_detector(loaded, image)


@pytest.mark.parametrize("content", [b"", b"no pickle", b"PK\x03\x04broken"])
def test_a_broken_file_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_checkpoint_is_one_line(detector: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    save_weights(path, detector, ["a"])
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"model\.pth"):
        read_checkpoint(path)


def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "model.pth"
    torch.save({"state_dict": {}, "meta": Malicious(mark)}, path)
    with pytest.raises(UserError, match="could run code"):
        read_checkpoint(path)
    # The start of a hash names the file, but is too short to vouch for it.
    with pytest.raises(UserError, match="could run code"):
        read_checkpoint(path, sha256=sha256_of(path)[:8])
    assert not mark.exists()


def test_a_full_pickle_loads_when_vouched_for(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    weight = torch.ones(2)
    torch.save({"state_dict": {"w": weight}, "meta": {"time": nn.Identity()}}, path)
    for vouched in ({"trusted": True}, {"sha256": sha256_of(path)}):
        assert torch.equal(read_checkpoint(path, **vouched)[0]["w"], weight)


def test_another_hash_is_refused(detector: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    save_weights(path, detector, ["a"])
    with pytest.raises(UserError, match="SHA-256"):
        read_checkpoint(path, sha256="0" * 8, trusted=True)


def test_weights_of_another_config_are_one_line(detector: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    save_weights(path, MODELS.build(retinanet_of_width(48)), ["a", "b", "c"])
    with pytest.raises(UserError, match="37 of other shape") as caught:
        load_weights(detector, path)
    assert "(32, 48, 3, 3), not (32, 32, 3, 3)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_prefix_of_data_parallel_training_is_taken_off(
    detector: nn.Module, tmp_path: Path
) -> None:
    path = tmp_path / "model.pth"
    torch.save({f"module.{key}": value for key, value in detector.state_dict().items()}, path)
    assert load_weights(MODELS.build(retinanet()), path) is None
