"""ONNX detectors whose convolutions and matrix products compute with 8-bit integers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mtpd.detectors.handed_on import Description, OnnxDetector, on_canvas
from mtpd.errors import UserError

KINDS_OF_NODES = ["Conv", "Gemm", "MatMul"]

CALIBRATION_IMAGES = 32
"""By which the range of every map is found."""


def quantise(
    path: Path, out: Path, detector: OnnxDetector, images: Sequence[np.ndarray]
) -> OnnxDetector:
    """Write the ONNX detector ``path`` with 8-bit weights and maps as ``out``, and open it.

    Args:
        path: The ONNX file.
        out: File to write.
        detector: That of ``path``.
        images: RGB, by which the range of every map is found.

    Raises:
        UserError: ONNX Runtime's tools are not installed, or cannot do it.
    """
    try:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        remedy = "install it: pip install 'mtpd[onnx]'"
        raise UserError("onnx", "is not installed", remedy) from error
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # its advice is for those who call it themselves
    try:
        with TemporaryDirectory() as folder:
            prepared = Path(folder) / "prepared.onnx"
            # Its symbolic shapes would need every operation to be of a known kind.
            quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(out),
                _Inputs(detector.description, [detector.resized(image) for image in images]),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=KINDS_OF_NODES,
                nodes_to_exclude=_last_layers(prepared),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
    finally:
        logging.getLogger().setLevel(level)
    return OnnxDetector(out, detector.description, "cpu")


def _last_layers(path: Path) -> list[str]:
    """Names of the layers that give scores and boxes: eight bits are too few for these."""
    import onnx

    graph = onnx.load(str(path)).graph
    ends = ("_cls.weight", "_reg.weight", "_centerness.weight", "conv_logits.weight")
    return [
        node.name
        for node in graph.node
        if node.op_type in KINDS_OF_NODES
        and any(name.endswith(ends) and "head" in name for name in node.input)
    ]


class _Inputs:
    """The graph's inputs, one image at a time, as ONNX Runtime's calibration asks for them."""

    def __init__(self, description: Description, resized: Sequence[np.ndarray]) -> None:
        self._remaining = iter(resized)
        self._description = description

    def get_next(self) -> dict[str, Any] | None:
        """Inputs of the next image; None: there are no more."""
        image = next(self._remaining, None)
        if image is None:
            return None
        images, sizes = on_canvas([image], self._description.canvas_for(image))
        return {"images": images, "sizes": sizes}
