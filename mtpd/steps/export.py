"""Handing a detector on as ONNX or as a torch.export program, checked before it is written."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rich.text import Text
from torch.export import Dim, ExportedProgram

from mtpd import __version__
from mtpd.data.media import find_media
from mtpd.detectors.agreement import BOXES_TOLERANCE, SCORES_TOLERANCE, Check, compare
from mtpd.detectors.export_ops import onnx_translations
from mtpd.detectors.exportable import ExportableDetector, has_windows, whole_windows
from mtpd.detectors.handed_on import (
    MASK_THRESHOLD,
    Description,
    OnnxDetector,
    Resizing,
    canvas_of,
    describe,
    on_canvas,
)
from mtpd.detectors.inference import TorchDetector, load_detector, read_image
from mtpd.errors import UserError
from mtpd.files import read_json, sha256_of, whole_file, write_json
from mtpd.overview.models import Model
from mtpd.reporting.using import plain_console

logger = logging.getLogger(__name__)

Format = Literal["onnx", "torch"]

OPSET = 18
MULTIPLE = 32
"""Of which the sides of padded images are multiples, unless the model says a larger one."""

LARGEST = 8192
"""Pixels: the longest side of the graph's images."""

EXAMPLE = 160, 288
"""Height and width of the images that a graph is traced with: they differ on every level, and no
level has a side of one pixel, so that nothing is taken for fixed."""

CHECKED_IMAGES = 8


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The file.
        check: How it differs from PyTorch's own.
        canvas: Height and width of its images where these are fixed.
    """

    path: Path
    check: Check
    canvas: tuple[int, int] | None


def export(
    model: Model,
    out: Path,
    kind: Format,
    *,
    score_threshold: float | None = None,
    sources: Sequence[str] = (),
) -> Exported:
    """Write ``model`` as ``out``, after its detections were compared with PyTorch's.

    Args:
        model: A model with a config.
        out: File to write; for ONNX a JSON file is written beside it.
        kind: ONNX, or a program of torch.export.
        score_threshold: Lowest score that it gives; None: as the config says.
        sources: Images of the comparison; none: of the config's data set, or else generated ones.

    Raises:
        UserError: The detector cannot be exported, or finds other boxes than before.
    """
    if model.config is None:
        raise UserError(model.name, "is ONNX already", "give the weights that it was made from")
    detector = load_detector(model.weights, model.config, "cpu", score_threshold)
    if score_threshold is not None:
        _set_threshold(detector.model, score_threshold)
    images, from_where = check_images(detector, sources)
    resizing = resizing_of(detector)
    wrapped = ExportableDetector(detector.model).eval()
    multiple = max(MULTIPLE, wrapped.divisor)
    fixed = _canvas_of_all(images, resizing, multiple) if has_windows(detector.model) else None
    program, canvas = _traced(wrapped, resizing, multiple, fixed)
    description = _described(model, detector, wrapped, resizing, multiple, canvas)
    expected = detector.predict(images)
    with whole_file(out) as temporary:
        if kind == "onnx":
            write_onnx(program, temporary, wrapped.has_masks)
            other: Any = OnnxDetector(temporary, description, "cpu")
        else:
            torch.export.save(program, temporary)
            other = _ProgramDetector(temporary, description)
        found = other.predict(images)
        check = compare(expected, found, from_where, description)
        _judge(out, check)
        written = description.model_copy(update={"check": asdict(check)})
        write_json(describe(out), written.model_dump(mode="json"))
    return Exported(out, check, canvas)


def print_exported(exported: Exported) -> None:
    """Say what was written, and how it compares."""
    check, console = exported.check, plain_console()
    lines = [
        f"check: {check.detections} detections in {check.images} images ({check.from_where}); "
        "largest differences from PyTorch:",
        f"  boxes   {check.boxes_px:.2g} px (at most {check.boxes_tolerance_px:g} allowed)",
        f"  scores  {check.scores:.2g} (at most {check.scores_tolerance:g} allowed)",
    ]
    if check.masks is not None:
        lines.append(f"  masks   {100 * check.masks:.2g} % of a mask's pixels")
    if exported.canvas is not None:
        height, width = exported.canvas
        lines.append(f"images have to be {width}x{height}: the backbone takes one size")
    lines.append(f"written: {exported.path}, {describe(exported.path).name}")
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def resizing_of(detector: TorchDetector) -> Resizing:
    """How the detector's test pipeline resizes images.

    Raises:
        UserError: It does more, or other, than to resize them.
    """
    where, steps = detector.config.filename, detector.steps[1:]
    kinds = [str(step["type"]).rpartition(".")[2] for step in steps]
    remedy = "give a config whose test pipeline is LoadImageFromFile, Resize, PackDetInputs"
    if kinds != ["Resize", "PackDetInputs"]:
        problem = f"its test pipeline has the steps {', '.join(kinds)}"
        raise UserError(where, problem, remedy)
    scale = steps[0].get("scale")
    if not isinstance(scale, list | tuple) or len(scale) != 2:
        raise UserError(where, f"its test pipeline resizes to the scale {scale}", remedy)
    if steps[0].get("interpolation", "bilinear") != "bilinear":
        raise UserError(where, "its test pipeline resizes in another way than bilinearly", remedy)
    return Resizing(scale=tuple(scale), keep_ratio=bool(steps[0].get("keep_ratio", False)))


def write_onnx(program: ExportedProgram, path: Path, has_masks: bool) -> None:
    """Write a traced detector as ONNX.

    Raises:
        UserError: What writes ONNX is not installed.
    """
    try:
        translations = onnx_translations()
    except ImportError as error:
        remedy = "install it: pip install 'mtpd[onnx]'"
        raise UserError("onnxscript", "is not installed", remedy) from error
    names = ["boxes", "scores", "labels", *(["masks"] if has_masks else [])]
    with _quiet():
        found = torch.onnx.export(
            program,
            dynamo=True,
            custom_translation_table=translations,
            input_names=["images", "sizes"],
            output_names=names,
            opset_version=OPSET,
            verbose=False,
        )
        assert found is not None
        found.save(str(path))


def check_images(
    detector: TorchDetector, sources: Sequence[str], number: int = CHECKED_IMAGES
) -> tuple[list[np.ndarray], str]:
    """Images to compare on, and what they are: given ones, the data set's, or generated ones."""
    if sources:
        files = [medium.path for medium in find_media(sources)[0] if not medium.is_video]
        return [read_image(path) for path in files[:number]], "given"
    dataset = detector.config.test_dataloader.dataset
    annotations = Path(dataset.get("ann_file", ""))
    folder = Path(dataset.get("data_prefix", {}).get("img", ""))
    if annotations.is_file() and folder.is_dir():
        names = [image["file_name"] for image in read_json(annotations)["images"][:number]]
        if all((folder / name).is_file() for name in names):
            return [read_image(folder / name) for name in names], "of the data set"
    return _generated(resizing_of(detector), number), "generated"


def _canvas_of_all(
    images: Sequence[np.ndarray], resizing: Resizing, multiple: int
) -> tuple[int, int]:
    """Height and width that all images have once they are resized and padded.

    Raises:
        UserError: They have several: what lies beside an image counts for a backbone with windows.
    """
    sizes = [resizing.size_of(image.shape[1], image.shape[0]) for image in images]
    found = {canvas_of(height, width, multiple) for width, height in sizes}
    if len(found) > 1:
        shapes = " and ".join(f"{width}x{height}" for height, width in sorted(found)[:2])
        raise UserError(
            "the images of the check",
            f"are padded to several sizes ({shapes}), but a backbone with windows takes one",
            "give --images of one shape, or resize without keep_ratio",
        )
    return found.pop()


def _traced(
    wrapped: ExportableDetector,
    resizing: Resizing,
    multiple: int,
    fixed: tuple[int, int] | None,
) -> tuple[ExportedProgram, tuple[int, int] | None]:
    """A program for any number of images of any size; else of one size, which is given too.

    With ``fixed`` that is the size, and others are not tried.
    """
    batch = Dim("batch", min=1, max=4096)
    most = LARGEST // multiple
    sides = {2: multiple * Dim("h", min=1, max=most), 3: multiple * Dim("w", min=1, max=most)}
    if fixed is None:
        try:
            canvas = canvas_of(*EXAMPLE, multiple)
            return _program(wrapped, canvas, {0: batch, **sides}, batch), None
        except Exception as error:  # whatever a backbone does with sizes
            logger.info("sizes cannot vary: %s", error)
    width, height = resizing.scale
    if resizing.keep_ratio:
        width = height = max(resizing.scale)  # for upright images as well as for wide ones
    canvas = fixed or canvas_of(height, width, multiple)
    try:
        return _program(wrapped, canvas, {0: batch}, batch), canvas
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        name = type(wrapped.model).__name__
        problem = f"torch.export cannot follow it ({first})"
        raise UserError(name, problem, "export a student of another backbone") from error


def _program(
    wrapped: ExportableDetector, canvas: tuple[int, int], shape: dict[int, Any], batch: Any
) -> ExportedProgram:
    images = torch.zeros(2, 3, *canvas, dtype=torch.uint8)
    sizes = torch.tensor([canvas, (canvas[0] - 3, canvas[1] - 5)])
    with torch.no_grad(), _quiet(), whole_windows():
        return torch.export.export(
            wrapped, (images, sizes), dynamic_shapes=(shape, {0: batch}), strict=False
        )


class _ProgramDetector(OnnxDetector):
    """A program of torch.export, run as an ONNX file would be."""

    def __init__(self, path: Path, description: Description) -> None:
        self.description, self.classes = description, description.classes
        # Its guards refuse images whose coarsest map has one row, where the program is as right.
        self._run = torch.export.load(path).module(check_guards=False)

    def run(self, resized: Sequence[np.ndarray], canvas: tuple[int, int]) -> list[np.ndarray]:
        inputs = [torch.from_numpy(part) for part in on_canvas(resized, canvas)]
        with torch.no_grad():
            return [output.numpy() for output in self._run(*inputs)]


def _described(
    model: Model,
    detector: TorchDetector,
    wrapped: ExportableDetector,
    resizing: Resizing,
    multiple: int,
    canvas: tuple[int, int] | None,
) -> Description:
    head = wrapped.model.roi_head if wrapped.is_two_stage else wrapped.model.bbox_head
    settings = head.test_cfg
    sides = f"{canvas[0]} x {canvas[1]}" if canvas else f"H and W multiples of {multiple}"
    outputs = {
        "boxes": "float32 (B, N, 4): corners x1, y1, x2, y2 in pixels of `images`",
        "scores": "float32 (B, N): highest first",
        "labels": "int64 (B, N): index in `classes`; -1: no object in this row",
    }
    threshold = None
    if wrapped.has_masks:
        threshold = float(settings.get("mask_thr_binary", MASK_THRESHOLD))
        outputs["masks"] = "float32 (B, N, h, w): for the area of each box, from 0 to 1"
    assert model.config is not None
    return Description(
        classes=detector.classes,
        resize=resizing,
        multiple_of=multiple,
        canvas=canvas,
        score_threshold=float(settings.get("score_thr", 0)),
        iou_threshold=float(settings.nms.iou_threshold),
        detections=int(settings.max_per_img),
        mask_threshold=threshold,
        inputs={
            "images": f"uint8 (B, 3, H, W): RGB, resized, each at the top left; {sides}",
            "sizes": "int64 (B, 2): height and width of each resized image",
        },
        outputs=outputs,
        source={
            "model": model.name,
            "weights_sha256": sha256_of(model.weights),
            "config_sha256": sha256_of(model.config),
            "mtpd": __version__,
            "torch": torch.__version__,
        },
        check={},
    )


def _judge(out: Path, check: Check) -> None:
    if not check.detections:
        raise UserError(
            out,
            f"is not written: nothing was found in the {check.images} images of the check "
            f"({check.from_where})",
            "give images with objects by --images, or a lower --score-threshold",
        )
    if not check.has_passed:
        raise UserError(
            out,
            f"is not written: its boxes differ from PyTorch's by up to {check.boxes_px:.3g} px, "
            f"scores by {check.scores:.2g}, and {check.alone} of {check.detections} have no "
            "counterpart",
            f"at most {BOXES_TOLERANCE} px and {SCORES_TOLERANCE} are allowed; report this model",
        )


def _set_threshold(model: Any, threshold: float) -> None:
    """Set the lowest score of what ``model`` gives."""
    head = model.roi_head if hasattr(model, "roi_head") else model.bbox_head
    head.test_cfg.score_thr = threshold


def _generated(resizing: Resizing, number: int) -> list[np.ndarray]:
    """Noise with rectangles of one colour, upright and wide in turn."""
    random = np.random.default_rng(0)
    long, short = max(resizing.scale), min(resizing.scale)
    images = []
    for i in range(number):
        height, width = (long, short) if i % 2 else (short, long)
        image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for _ in range(6):
            y, x = random.integers(0, height * 3 // 4), random.integers(0, width * 3 // 4)
            image[y : y + height // 4, x : x + width // 4] = random.integers(0, 256, 3)
        images.append(image)
    return images


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the user what the exporters say about their own work."""
    loud = logging.getLogger("torch")
    level = loud.level
    loud.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        loud.setLevel(level)
