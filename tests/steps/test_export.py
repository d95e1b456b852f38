"""Detectors as ONNX: the boxes are PyTorch's, whatever the images and how many come together."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from micro import PROJECT
from mmdet.models.backbones.swin import ShiftWindowMSA
from saved_models import CLASSES, KINDS, save_detector, save_images
from torch import nn

from mtpd.detectors.agreement import compare
from mtpd.detectors.export_ops import nms_mask
from mtpd.detectors.exportable import ExportableDetector, has_windows, whole_windows
from mtpd.detectors.found import Found
from mtpd.detectors.handed_on import Description, Resizing, describe, load_onnx, paste
from mtpd.detectors.inference import load_detector, read_image
from mtpd.errors import UserError
from mtpd.layout import ModelFolder
from mtpd.overview.models import Model
from mtpd.steps.export import _traced, export
from mtpd.steps.models import open_detector
from mtpd.steps.predict import predict

ORDINARY, SWIN = "RetinaNet", "RetinaNet with Swin"
SLOW = [
    pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind not in (ORDINARY, SWIN)
]


def model_of(folder: ModelFolder, name: str = "small") -> Model:
    return Model(name, folder.weights, folder.config)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return save_images(tmp_path_factory.mktemp("images"))


@pytest.mark.parametrize(
    "kind",
    [
        *("RetinaNet", "GFL", "Mask R-CNN"),
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("FCOS", "ATSS", "Faster R-CNN")),
    ],
)
def test_fixed_shapes_give_what_mmdetection_gives(
    kind: str, tmp_path: Path, images: list[Path]
) -> None:
    folder = save_detector(tmp_path, kind)
    detector = load_detector(folder.weights, folder.config, "cpu")
    wrapped = ExportableDetector(detector.model)
    for path in images:
        image = read_image(path)
        [expected] = detector.predict([image])
        resized = detector.prepared(image)["inputs"].flip(0)
        height, width = resized.shape[1:]
        # What lies beside the image must not count: it is padded with something bright.
        canvas = torch.full((2, 3, -(-height // 32) * 32, -(-width // 32) * 32), 250)
        canvas[:, :, :height, :width] = resized
        sizes = torch.tensor([[height, width]] * 2)
        with torch.no_grad():
            boxes, scores, labels, *masks = wrapped(canvas.to(torch.uint8), sizes)
        assert len(expected) == int((labels[1] >= 0).sum()) > 10
        there = slice(0, len(expected))
        scale = np.array([image.shape[1] / width, image.shape[0] / height] * 2)
        np.testing.assert_allclose(boxes[1, there].numpy() * scale, expected.boxes, atol=2e-3)
        np.testing.assert_allclose(scores[1, there].numpy(), expected.scores, atol=1e-5)
        assert np.array_equal(labels[1, there].numpy(), expected.labels)
        assert not boxes[1, len(expected) :].any()
        if expected.masks is not None:
            own = paste(masks[0][1, there].numpy(), expected.boxes, *image.shape[:2]) >= 0.5
            assert (own != expected.masks).mean() < 1e-3


@pytest.fixture(scope="module", params=[ORDINARY, *SLOW])
def exported(request: Any, tmp_path_factory: pytest.TempPathFactory, images: list[Path]) -> Any:
    """A detector's folder, and the ONNX file that was made of it."""
    folder = save_detector(tmp_path_factory.mktemp("exported"), request.param)
    path = folder.path / "small.onnx"
    result = export(model_of(folder), path, "onnx", sources=[str(path) for path in images])
    return folder, result


def test_onnx_runtime_finds_the_same(exported: Any, images: list[Path]) -> None:
    folder, result = exported
    detector, onnx = load_detector(folder.weights, folder.config, "cpu"), load_onnx(result.path)
    assert result.canvas is None
    assert result.check.has_passed
    assert result.check.detections > 100
    assert (result.check.boxes_px, result.check.scores) < (0.01, 1e-4)
    assert onnx.classes == CLASSES
    arrays = [read_image(path) for path in images]
    alone = [onnx.predict([image])[0] for image in arrays]
    for together in (onnx.predict(arrays), onnx.predict([*arrays, *arrays])[4:]):
        for one, other, expected in zip(together, alone, detector.predict(arrays), strict=True):
            assert len(one) == len(other) == len(expected)
            np.testing.assert_allclose(one.boxes, expected.boxes, atol=0.01)
            np.testing.assert_allclose(one.scores, expected.scores, atol=1e-4)
            np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)


def test_the_code_of_the_page_needs_the_two_files_only(
    exported: Any, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, result = exported
    for source, name in (
        (result.path, "student.onnx"),
        (describe(result.path), "student.json"),
        (images[1], "photo.jpg"),
    ):
        (tmp_path / name).write_bytes(source.read_bytes())
    monkeypatch.chdir(tmp_path)
    page = (PROJECT / "docs" / "using.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert "mtpd" not in code
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    [expected] = load_detector(folder.weights, folder.config, "cpu").predict(
        [read_image(images[1])]
    )
    kept = namespace["labels"][0] >= 0
    factors = np.tile([namespace["width"], namespace["height"]], 2) / np.tile(namespace["size"], 2)
    np.testing.assert_allclose(namespace["boxes"][0][kept] * factors, expected.boxes, atol=0.01)
    np.testing.assert_allclose(namespace["scores"][0][kept], expected.scores, atol=1e-4)
    assert np.array_equal(namespace["labels"][0][kept], expected.labels)
    assert namespace["about"]["classes"] == list(CLASSES)


def test_an_onnx_file_predicts_as_a_model(
    exported: Any, images: list[Path], tmp_path: Path
) -> None:
    _, result = exported
    detector = open_detector(Model("small.onnx", result.path, None))
    sources = [str(images[0])]
    found = predict(detector, sources, tmp_path / "out", threshold=0.3, batch=2, draw=True)
    assert found.images == 1
    assert sum(found.objects.values()) > 0


@pytest.mark.slow
def test_a_program_of_torch_export_finds_the_same(tmp_path: Path, images: list[Path]) -> None:
    folder = save_detector(tmp_path, ORDINARY)
    path = tmp_path / "small.pt2"
    result = export(model_of(folder), path, "torch", sources=[str(path) for path in images])
    assert result.check.has_passed
    assert (result.check.boxes_px, result.check.scores) < (0.01, 1e-4)
    program = torch.export.load(path).module(check_guards=False)
    boxes, _, _ = program(torch.zeros(3, 3, 96, 64, dtype=torch.uint8), torch.full((3, 2), 60))
    assert boxes.shape == (3, 100, 4)


def test_windows_are_put_together_as_swin_does() -> None:
    """Of two images with four windows in a row and two in a column."""
    attention = ShiftWindowMSA(8, 2, window_size=4)
    windows = torch.rand(2 * 4 * 2, 4, 4, 8)
    expected = attention.window_reverse(windows, 8, 16)
    with whole_windows():
        found = attention.window_reverse(windows, 8, 16)
    assert torch.equal(found, expected)
    assert torch.equal(attention.window_reverse(windows, 8, 16), expected)
    assert has_windows(nn.Sequential(attention))
    assert not has_windows(nn.Sequential(nn.Conv2d(1, 1, 1)))


@pytest.mark.slow
def test_a_swin_is_exported_for_one_size(tmp_path: Path, images: list[Path]) -> None:
    folder = save_detector(tmp_path, SWIN)
    path = tmp_path / "small.onnx"
    wide = [str(path) for path in (images[0], images[1], images[3])]
    result = export(model_of(folder), path, "onnx", sources=wide)
    assert result.canvas == (64, 96)
    assert result.check.has_passed
    assert result.check.detections > 100
    onnx = load_onnx(result.path)
    with pytest.raises(UserError, match="is 64x96 once it is resized, and the graph takes 96x64"):
        onnx.predict([read_image(images[2])])


def test_a_swin_is_refused_for_images_of_several_shapes(tmp_path: Path, images: list[Path]) -> None:
    folder = save_detector(tmp_path, SWIN)
    with pytest.raises(UserError, match=r"padded to several sizes \(96x64 and 64x96\)"):
        export(model_of(folder), tmp_path / "small.onnx", "onnx", sources=[str(p) for p in images])


@pytest.mark.parametrize(("keep_ratio", "canvas"), [(True, (96, 96)), (False, (64, 96))])
def test_a_graph_for_one_size_holds_wide_and_upright_images(
    monkeypatch: pytest.MonkeyPatch, keep_ratio: bool, canvas: tuple[int, int]
) -> None:
    """Of a backbone for which sizes cannot vary."""

    def only_fixed(_wrapped: Any, _canvas: Any, shape: dict[int, Any], _batch: Any) -> str:
        if len(shape) > 1:
            raise ValueError("sizes cannot vary")
        return "program"

    monkeypatch.setattr("mtpd.steps.export._program", only_fixed)
    resizing = Resizing(scale=(96, 64), keep_ratio=keep_ratio)
    wrapped = ExportableDetector.__new__(ExportableDetector)
    assert _traced(wrapped, resizing, 32, None) == ("program", canvas)


def test_suppression_is_that_of_a_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = 40 * torch.rand(2, 30, 2, generator=generator)
    boxes = torch.cat([corners, corners + 5 + 20 * torch.rand(2, 30, 2, generator=generator)], 2)
    scores = torch.rand(2, 30, generator=generator)
    scores[:, ::4] = -1
    kept = nms_mask(boxes, scores, 0.4)
    for own, score, mask in zip(boxes, scores, kept, strict=True):
        expected: list[int] = []
        for i in score.argsort(descending=True).tolist():
            if score[i] > 0 and all(overlap(own[i], own[j]) <= 0.4 for j in expected):
                expected.append(i)
        assert mask.nonzero().flatten().tolist() == sorted(expected)
        assert 3 < len(expected) < 22


def overlap(a: torch.Tensor, b: torch.Tensor) -> float:
    left, top = torch.maximum(a[:2], b[:2])
    right, bottom = torch.minimum(a[2:], b[2:])
    common = max(0.0, float(right - left)) * max(0.0, float(bottom - top))
    areas = [float((box[2] - box[0]) * (box[3] - box[1])) for box in (a, b)]
    return common / (sum(areas) - common)


PAD = "dict(type='Pad', size_divisor=32)"
DESCRIPTION = Description(
    classes=CLASSES,
    resize={"scale": (96, 64), "keep_ratio": True},
    multiple_of=32,
    canvas=None,
    score_threshold=0.05,
    iou_threshold=0.5,
    detections=100,
    mask_threshold=None,
    inputs={},
    outputs={},
    source={},
    check={},
)
TRUTH = Found(
    np.array([[0, 0, 10, 10], [20, 20, 40, 40]], np.float32),
    np.array([0.9, 0.5], np.float32),
    np.array([0, 1]),
)


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, True),
        ({"boxes": TRUTH.boxes + 0.09}, True),
        ({"boxes": TRUTH.boxes + 0.2}, False),
        ({"boxes": TRUTH.boxes + 5}, False),
        ({"scores": TRUTH.scores - np.float32(0.0009)}, True),
        ({"scores": TRUTH.scores - np.float32(0.002)}, False),
        ({"labels": TRUTH.labels[::-1]}, False),
        ({key: getattr(TRUTH, key)[:1] for key in ("boxes", "scores", "labels")}, False),
        ({key: getattr(TRUTH, key)[::-1] for key in ("boxes", "scores", "labels")}, True),
    ],
)
def test_a_difference_is_noticed(changes: dict[str, Any], passes: bool) -> None:
    check = compare([TRUTH], [replace(TRUTH, **changes)], "given", DESCRIPTION)
    assert check.has_passed is passes


def test_what_is_at_the_threshold_may_be_missing() -> None:
    edge = replace(TRUTH, scores=np.array([0.9, 0.0505], np.float32))
    first = replace(edge, boxes=edge.boxes[:1], scores=edge.scores[:1], labels=edge.labels[:1])
    assert compare([edge], [first], "given", DESCRIPTION).has_passed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            (
                "dict(type='LoadImageFromFile'),",
                "dict(type='LoadImageFromFile'), dict(type='Pad', size_divisor=32),",
            ),
            "its test pipeline has the steps Pad, Resize, PackDetInputs",
        ),
        (("type='nms'", "type='soft_nms'"), "suppresses boxes by soft_nms"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    tmp_path: Path, images: list[Path], change: tuple[str, str], words: str
) -> None:
    folder = save_detector(tmp_path, ORDINARY)
    folder.config.write_text(folder.config.read_text().replace(*change))
    with pytest.raises(UserError, match=words):
        export(model_of(folder), tmp_path / "x.onnx", "onnx", sources=[str(images[0])])
    assert not list(tmp_path.glob("*.onnx"))


def test_a_file_without_its_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"")
    with pytest.raises(UserError, match="with its JSON beside"):
        load_onnx(tmp_path / "x.onnx")
    describe(tmp_path / "x.onnx").write_text('{"classes": []}')
    with pytest.raises(UserError, match="is not what mtpd export writes"):
        load_onnx(tmp_path / "x.onnx")
    describe(tmp_path / "x.onnx").write_text(DESCRIPTION.model_dump_json())
    with pytest.raises(UserError, match="no ONNX file that can be run"):
        load_onnx(tmp_path / "x.onnx")
