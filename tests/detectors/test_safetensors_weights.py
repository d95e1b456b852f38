"""Weights as safetensors: written by `mtpd weights`, and given to a detector like any others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from detector_models import retinanet, retinanet_of_width
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from mtpd.cli import app
from mtpd.detectors.safetensors_weights import is_safetensors, write_safetensors
from mtpd.detectors.weights import load_weights, read_checkpoint, save_weights
from mtpd.errors import UserError
from mtpd.files import sha256_of


@pytest.fixture
def detector() -> nn.Module:
    init_default_scope("mmdet")
    return MODELS.build(retinanet())


def convert(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["weights", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_a_checkpoint_is_converted_and_loads_again(detector: nn.Module, tmp_path: Path) -> None:
    checkpoint, file = tmp_path / "model.pth", tmp_path / "given.safetensors"
    save_weights(checkpoint, detector, ["a", "b", "c"])
    said = convert(checkpoint, file)
    assert sha256_of(file) in said
    state, classes = read_checkpoint(file)
    assert classes == ("a", "b", "c")
    assert state.keys() == detector.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in detector.state_dict().items())
    other = MODELS.build(retinanet())
    assert load_weights(other, file) == ("a", "b", "c")
    own = other.state_dict()
    assert all(torch.equal(own[key], value) for key, value in detector.state_dict().items())


def test_half_precision_halves_the_file_and_is_rounded(detector: nn.Module, tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.pth"
    save_weights(checkpoint, detector, ["a", "b", "c"])
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    convert(checkpoint, whole)
    convert(checkpoint, half, "--half")
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    other = MODELS.build(retinanet())
    load_weights(other, half)
    for key, value in detector.state_dict().items():
        found = other.state_dict()[key]
        assert found.dtype == value.dtype
        assert torch.allclose(found, value, rtol=1e-3, atol=1e-6)


def test_the_kind_of_file_is_told_by_its_bytes(detector: nn.Module, tmp_path: Path) -> None:
    checkpoint, named_otherwise = tmp_path / "model.safetensors", tmp_path / "model.pth"
    save_weights(checkpoint, detector, ["a", "b", "c"])
    write_safetensors(named_otherwise, detector.state_dict(), None)
    assert (is_safetensors(checkpoint), is_safetensors(named_otherwise)) == (False, True)
    assert read_checkpoint(checkpoint)[1] == ("a", "b", "c")
    assert read_checkpoint(named_otherwise)[1] is None
    for content in (b"", b"{", b"\x01\x00\x00\x00\x00\x00\x00\x7f{"):
        named_otherwise.write_bytes(content)
        assert not is_safetensors(named_otherwise)


def test_a_hash_that_differs_or_a_damaged_file_is_one_line(
    detector: nn.Module, tmp_path: Path
) -> None:
    file = tmp_path / "given.safetensors"
    write_safetensors(file, detector.state_dict(), ["a", "b", "c"])
    with pytest.raises(UserError, match="its SHA-256 is"):
        load_weights(MODELS.build(retinanet()), file, sha256="0" * 64)
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(UserError, match="is cut off: has"):
        read_checkpoint(file)
    file.write_bytes(whole.replace(b"data_offsets", b"data_0ffsets", 1))
    with pytest.raises(UserError, match="is not a readable safetensors file"):
        read_checkpoint(file)


def test_weights_of_another_detector_are_one_line(tmp_path: Path) -> None:
    init_default_scope("mmdet")
    file = tmp_path / "given.safetensors"
    write_safetensors(file, MODELS.build(retinanet_of_width(8)).state_dict(), None)
    with pytest.raises(UserError, match="do not fit the detector's config"):
        load_weights(MODELS.build(retinanet()), file)


def test_what_sixteen_bits_cannot_hold_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    file = tmp_path / "given.safetensors"
    state = {"a": torch.tensor([1.0]), "b": torch.tensor([1e5])}
    with pytest.raises(UserError, match="b has values above 65504"):
        write_safetensors(file, state, None, half=True)
    assert not list(tmp_path.iterdir())
    write_safetensors(file, state, None)
    assert read_checkpoint(file)[0]["b"] == 1e5


@pytest.mark.parametrize("classes", ["no JSON", json.dumps("a"), json.dumps([1, 2])])
def test_classes_of_another_tool_that_are_no_names_are_unknown(
    classes: str, tmp_path: Path
) -> None:
    file = tmp_path / "given.safetensors"
    save_file({"a": torch.zeros(1)}, file, {"classes": classes})
    assert read_checkpoint(file)[1] is None
