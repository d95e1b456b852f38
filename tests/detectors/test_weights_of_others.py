"""Weights that others have: of a distiller, for other classes, or no weights at all."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest
import torch
from detector_models import mask_rcnn, retinanet
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from typer.testing import CliRunner

from mtpd.cli import app
from mtpd.detectors.file_kinds import kind_of
from mtpd.detectors.own_config import own_config
from mtpd.detectors.safetensors_weights import write_safetensors
from mtpd.detectors.weights import load_start, load_weights, read_checkpoint, save_weights
from mtpd.errors import UserError
from mtpd.settings.experiment import Detector

CLASSES = ("a", "b", "c")


def built(settings: object) -> nn.Module:
    init_default_scope("mmdet")
    return MODELS.build(settings)


def named(prefix: str, model: nn.Module) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in model.state_dict().items()}


LAYOUTS = {
    "mgd": (
        "student.",
        ("teacher.",),
        {
            "distill_losses.loss_mgd_fpn_0.align.weight": torch.ones(2),
            "student_neck_fpn_convs_0_conv": torch.ones(3),
            "teacher_neck_fpn_convs_0_conv": torch.ones(3),
        },
    ),
    "pgd": ("student.", ("teacher.",), {"distill_losses.cls.conv.weight": torch.ones(2)}),
    "mmrazor": (
        "architecture.",
        ("teacher.",),
        {"distiller.connectors.loss_mgd.weight": torch.ones(2)},
    ),
    "mmrazor 0": ("architecture.model.", ("distiller.teacher.",), {}),
    "mmrazor 0, older": ("architecture.model.", ("architecture.model.distiller.teacher.",), {}),
}


@pytest.mark.parametrize(
    ("layout", "outer"), [*((layout, "") for layout in LAYOUTS), ("mmrazor", "module.")]
)
def test_a_distillers_checkpoint_gives_its_student(
    layout: str, outer: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    student, teacher = built(retinanet()), built(retinanet())
    prefix, others, more = LAYOUTS[layout]
    state = named(outer + prefix, student)
    for other in others:
        state |= named(outer + other, teacher)
    state |= {outer + key: value for key, value in more.items()}
    path = tmp_path / "epoch_24.pth"
    torch.save({"state_dict": state, "meta": {"CLASSES": CLASSES}}, path)
    model, own = built(retinanet()), student.state_dict()
    assert load_weights(model, path) == CLASSES
    assert all(torch.equal(value, own[key]) for key, value in model.state_dict().items())
    assert f"its student, {len(own)} tensors called '{prefix}…', is taken" in caplog.text
    assert f"{len(own)} of {'distiller' if others[0] != 'teacher.' else 'teacher'}" in caplog.text
    assert caplog.text.count("distiller's checkpoint") == 1


def test_the_student_of_a_distiller_starts_a_training_for_other_classes(tmp_path: Path) -> None:
    path, source = tmp_path / "epoch_24.pth", built(retinanet())
    torch.save({"state_dict": named("student.", source) | named("teacher.", source)}, path)
    model = built(retinanet(model__bbox_head__num_classes=5))
    left = load_start(model, tuple("vwxyz"), path)
    assert left == ("bbox_head.retina_cls.weight", "bbox_head.retina_cls.bias")
    taken = source.state_dict()
    assert all(torch.equal(v, taken[k]) for k, v in model.state_dict().items() if k not in left)


def test_the_versions_of_a_distillers_modules_are_the_students(tmp_path: Path) -> None:
    """By them modules know what to make of older names."""
    state = torch.nn.Module()
    state.add_module("student", built(retinanet()))
    path = tmp_path / "epoch_24.pth"
    torch.save({"state_dict": state.state_dict()}, path)
    read, _ = read_checkpoint(path)
    assert read._metadata["bbox_head"] == state.state_dict()._metadata["student.bbox_head"]  # type: ignore[attr-defined]
    assert "student" not in "".join(read._metadata)  # type: ignore[attr-defined]


def test_mtpd_weights_passes_a_distillers_student_on(tmp_path: Path) -> None:
    source, target, student = tmp_path / "epoch_24.pth", tmp_path / "s.safetensors", nn.Linear(2, 2)
    torch.save(
        {"state_dict": named("architecture.", student) | {"teacher.w": torch.ones(1)}}, source
    )
    done = CliRunner().invoke(app, ["weights", str(source), str(target)], catch_exceptions=False)
    assert "2 tensors" in done.output
    assert read_checkpoint(target)[0].keys() == {"weight", "bias"}


def test_a_home_folder_is_found_in_options_and_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    torch.save({"state_dict": nn.Linear(2, 2).state_dict()}, tmp_path / "a.pth")
    arguments = ["weights", "~/a.pth", "~/b.safetensors"]
    CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert (tmp_path / "b.safetensors").is_file()
    start = {"type": "Pretrained", "checkpoint": "~/backbone.pth"}
    options = {"model.backbone.init_cfg": start}
    detector = Detector(config="config/detectors/retinanet_r18_w16.py", options=options)
    model = own_config("a", detector).model
    assert model.backbone.init_cfg.checkpoint == str(tmp_path / "backbone.pth")


def test_safetensors_of_a_distiller_too(tmp_path: Path) -> None:
    path, student = tmp_path / "s.safetensors", nn.Linear(2, 2)
    write_safetensors(path, named("student.", student) | {"teacher.w": torch.ones(1)}, CLASSES)
    state, classes = read_checkpoint(path)
    assert (state.keys(), classes) == ({"weight", "bias"}, CLASSES)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0af1\nsize 151345678\n"
PAGE = b"\n<!DOCTYPE html><html><head><title>Google Drive - Virus\n scan warning</title></head>"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty; fetch it again"),
        (POINTER, r"is a Git LFS pointer, .* \(151\.3 MB\); run `git lfs pull`"),
        (b"/annex/objects/SHA256E-s1--0.pth\n", "is a git-annex pointer"),
        (PAGE, r"is a web page \('Google Drive - Virus scan warning'\); open its address"),
        (b"<!-- saved --> <HTML>", "is a web page; "),
        (b"<html>{" + b"}" * 50, "is a web page; "),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is an XML text"),
        (b'{"message": "Not Found"}', "is a JSON text"),
        (b'{\n "message": "Not Found"}', "is a JSON text"),
        (gzip.compress(b"weights", mtime=0), "is packed by gzip; unpack it"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "is an HDF5 file"),
        (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0", "is an ONNX model"),
        (bytes(5000), "begins with zeros"),
        (bytes(257) + b"ustar" + bytes(250), "is a tar archive"),
        (b"\x00\x10\x00\x00\x00\x00\x00\x00{\"a\"", "is cut off: safetensors whose header alone"),
        (b"PK\x03\x04broken", "is cut off or damaged: its 10 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_named_for_what_it_is(
    content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    # Its hash would say less.
    for sha256 in (None, "0" * 64):
        with pytest.raises(UserError, match=said) as caught:
            read_checkpoint(path, sha256)
        assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before PyTorch 1.6"])
def test_a_checkpoint_cut_off_anywhere_is_one_line(old: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    state = {"state_dict": {"a": torch.ones(1000)}, "meta": {}}
    torch.save(state, path, _use_new_zipfile_serialization=not old)
    assert kind_of(path) is None
    assert read_checkpoint(path)[0].keys() == {"a"}
    whole = path.read_bytes()
    for share in (0.3, 0.6, 0.9, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(UserError, match=r"cut off|damaged|not a readable checkpoint"):
            read_checkpoint(path)


def test_safetensors_cut_off_say_how_much_is_there(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"a": torch.ones(1000), "b": torch.ones(3)}, CLASSES)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(UserError, match=f"cut off: has {len(whole) - 100} of {len(whole)} bytes"):
        read_checkpoint(path)


def test_archives_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("released/student.pth", "x")
        archive.writestr("released/log.txt", "x")
    with pytest.raises(UserError, match=r"zip archive of 2 files \(first: released/log\.txt\)"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"model/{name}", "x")
    with pytest.raises(UserError, match="is a TorchScript program"):
        read_checkpoint(path)
    with pytest.raises(UserError, match="is a folder; give one of the checkpoints in it"):
        read_checkpoint(tmp_path)


def test_a_checkpoint_of_another_kind_says_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"model": {"a": torch.ones(1)}, "epoch": 3}, path)
    with pytest.raises(UserError, match=r"holds no state dictionary \(it has: model, epoch\)"):
        read_checkpoint(path)


@pytest.mark.parametrize("two_stages", [False, True])
def test_without_class_names_their_number_is_checked(two_stages: bool, tmp_path: Path) -> None:
    settings = mask_rcnn() if two_stages else retinanet()
    path = tmp_path / "model.pth"
    torch.save(built(settings).state_dict(), path)
    if two_stages:
        settings.roi_head.bbox_head.num_classes = settings.roi_head.mask_head.num_classes = 5
    else:
        settings = retinanet(model__bbox_head__num_classes=5)
    with pytest.raises(UserError, match=r"is for 3 classes, not 5 \(\d tensors; first: .*start_fr"):
        load_weights(built(settings), path)


def test_a_start_that_keeps_what_predicts_classes_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unnamed, other = tmp_path / "unnamed.pth", tmp_path / "other.pth"
    torch.save(built(retinanet()).state_dict(), unnamed)
    save_weights(other, built(retinanet()), ("x", "y", "z"))
    assert load_start(built(retinanet()), CLASSES, unnamed) == ()
    assert "unnamed.pth: records no class names; by their number (3) it fits" in caplog.text
    assert load_start(built(retinanet()), CLASSES, other) == ()
    assert "other.pth: is for other classes (first: x), but as many" in caplog.text
    caplog.clear()
    load_start(built(retinanet()), ("x", "y", "z"), other)
    assert not caplog.text
