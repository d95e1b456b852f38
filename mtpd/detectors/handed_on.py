"""Detectors that were handed on as ONNX: what stands beside the file, and running it.

The graph takes resized images and gives boxes in their pixels. How an image is resized, and what
the classes are called, stands in a JSON file beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.image import rescale_size
from pydantic import BaseModel, ConfigDict, ValidationError

from mtpd.detectors.found import Found
from mtpd.errors import UserError
from mtpd.files import read_json

MASK_THRESHOLD = 0.5


class Resizing(BaseModel):
    """How an image is resized: fitted into a rectangle, or stretched to it, bilinearly.

    Attributes:
        scale: Its sides in pixels. With ``keep_ratio`` the longer one is for the longer side of the
            image; without, they are width and height.
        keep_ratio: Whether an image keeps its proportions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: tuple[int, int]
    keep_ratio: bool

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of an image after it."""
        if not self.keep_ratio:
            return self.scale
        found: tuple[int, int] = rescale_size((width, height), self.scale)
        return found


class Description(BaseModel):
    """What stands beside an ONNX file.

    Attributes:
        classes: Names of the classes.
        resize: How an image is resized first.
        multiple_of: Height and width of the graph's images are multiples of this.
        canvas: Height and width of the graph's images where they are fixed; None: they may differ.
        score_threshold: Lowest score that the graph gives.
        iou_threshold: Of its non-maximum suppression.
        detections: Most objects of an image.
        mask_threshold: A pixel of a mask belongs to the object from this value on; None: no masks.
        inputs: What the graph takes, in words.
        outputs: What it gives, in words.
        source: What it was made from.
        check: How its detections differed from PyTorch's when it was made.
    """

    model_config = ConfigDict(frozen=True)

    classes: tuple[str, ...]
    resize: Resizing
    multiple_of: int
    canvas: tuple[int, int] | None
    score_threshold: float
    iou_threshold: float
    detections: int
    mask_threshold: float | None
    inputs: dict[str, str]
    outputs: dict[str, str]
    source: dict[str, Any]
    check: dict[str, Any]

    def canvas_for(self, resized: np.ndarray) -> tuple[int, int]:
        """Height and width of the graph's images that hold a resized image.

        Raises:
            UserError: The graph takes images of one size, and this one is larger.
        """
        if self.canvas is not None:
            height, width = resized.shape[:2]
            if height > self.canvas[0] or width > self.canvas[1]:
                own, most = f"{width}x{height}", f"{self.canvas[1]}x{self.canvas[0]}"
                problem = f"an image is {own} once it is resized, and the graph takes {most}"
                remedy = "export one for images of this shape"
                raise UserError("the exported model", problem, remedy)
            return self.canvas
        return canvas_of(resized.shape[0], resized.shape[1], self.multiple_of)


class OnnxDetector:
    """A detector that ONNX Runtime computes.

    Args:
        path: The ONNX file.
        description: What stands beside it.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        UserError: ONNX Runtime is not installed, cannot read the file, or has no such device.
    """

    def __init__(self, path: Path, description: Description, device: str = "auto") -> None:
        self.description, self.classes = description, description.classes
        self.session = open_session(path, device)

    @property
    def has_masks(self) -> bool:
        """Whether it predicts instance masks."""
        return self.description.mask_threshold is not None

    def resized(self, image: np.ndarray) -> np.ndarray:
        """An RGB image (height, width, 3) as the graph's images have to be resized."""
        size = self.description.resize.size_of(image.shape[1], image.shape[0])
        return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)

    def predict(self, images: Sequence[np.ndarray]) -> list[Found]:
        """Find objects in images, RGB uint8 (height, width, 3)."""
        resized = [self.resized(image) for image in images]
        groups: dict[tuple[int, int], list[int]] = {}
        for place, image in enumerate(resized):
            groups.setdefault(self.description.canvas_for(image), []).append(place)
        found: dict[int, Found] = {}
        for canvas, places in groups.items():
            outputs = self.run([resized[i] for i in places], canvas)
            for row, place in enumerate(places):
                own = [output[row] for output in outputs]
                found[place] = self._in_image(own, resized[place].shape, images[place].shape)
        return [found[place] for place in range(len(images))]

    def run(self, resized: Sequence[np.ndarray], canvas: tuple[int, int]) -> list[np.ndarray]:
        """The graph's outputs for resized images on canvases of one height and width."""
        batch, sizes = on_canvas(resized, canvas)
        outputs: list[np.ndarray] = self.session.run(None, {"images": batch, "sizes": sizes})
        return outputs

    def _in_image(
        self, outputs: Sequence[np.ndarray], resized: Iterable[int], shape: Iterable[int]
    ) -> Found:
        """An image's outputs in its own pixels."""
        boxes, scores, labels, *masks = outputs
        there = labels >= 0
        (new_height, new_width, _), (height, width, _) = resized, shape
        scale = np.array([new_width / width, new_height / height] * 2, np.float32)
        boxes = boxes[there] / scale
        pasted = None
        if masks:
            threshold = self.description.mask_threshold or MASK_THRESHOLD
            pasted = paste(masks[0][there], boxes, height, width) >= threshold
        return Found(boxes, scores[there], labels[there].astype(np.int64), pasted)


def describe(path: Path) -> Path:
    """Where the description of an ONNX file lies."""
    return path.with_suffix(".json")


def load_onnx(path: Path, device: str = "auto") -> OnnxDetector:
    """The detector of an ONNX file that ``mtpd export`` has written.

    Raises:
        UserError: It cannot be used.
    """
    beside = describe(path)
    raw = read_json(beside, "give an ONNX file that mtpd export has written, with its JSON beside")
    try:
        description = Description.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        problem = f"is not what mtpd export writes ({key}: {first['msg'].lower()})"
        raise UserError(beside, problem, "export the model again") from error
    return OnnxDetector(path, description, device)


def open_session(path: Path, device: str = "auto") -> Any:
    """An ONNX Runtime session with as many threads as torch has.

    Raises:
        UserError: ONNX Runtime is not installed, cannot read the file, or has no such device.
    """
    try:
        import onnxruntime
    except ImportError as error:
        remedy = "install it: pip install 'mtpd[onnx]'"
        raise UserError("onnxruntime", "is not installed", remedy) from error
    known = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
    available = [
        name for name, own in known.items() if own in onnxruntime.get_available_providers()
    ]
    wanted = device.partition(":")[0]
    if wanted == "auto":
        wanted = available[-1]
    if wanted not in available:
        problem = f"ONNX Runtime has no device '{device}' here"
        raise UserError("--device", problem, f"it has: {', '.join(available)}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[known[wanted]])
    except Exception as error:  # ONNX Runtime's own, which share no type
        raise UserError(path, "is no ONNX file that can be run", "export it again") from error


def canvas_of(height: int, width: int, multiple: int) -> tuple[int, int]:
    """The smallest height and width that hold an image and are multiples of ``multiple``."""
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def on_canvas(
    resized: Sequence[np.ndarray], canvas: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The graph's inputs: images (B, 3, H, W), each at the top left, and sizes (B, 2)."""
    batch = np.zeros((len(resized), 3, *canvas), np.uint8)
    for place, image in zip(batch, resized, strict=True):
        place[:, : image.shape[0], : image.shape[1]] = image.transpose(2, 0, 1)
    return batch, np.array([image.shape[:2] for image in resized], np.int64)


def paste(masks: np.ndarray, boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Masks (N, h, w), each for the area of its box, in an image (N, height, width)."""
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

    pasted = np.zeros((len(masks), height, width), np.float32)
    for place, mask, box in zip(pasted, masks, boxes, strict=True):
        # One by one: all at once would need as much memory as there are objects.
        own, _ = _do_paste_mask(
            torch.from_numpy(mask)[None, None], torch.from_numpy(box)[None], height, width, False
        )
        place[:] = own[0].numpy()
    return pasted
