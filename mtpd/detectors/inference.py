"""A trained detector that takes images and gives what it finds in them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from mtpd.detectors.datasets import innermost
from mtpd.detectors.found import Found
from mtpd.detectors.own_config import has_masks, set_classes
from mtpd.detectors.pretrained import without_pretrained
from mtpd.detectors.reading import read_config
from mtpd.detectors.weights import load_weights, read_checkpoint
from mtpd.errors import UserError

logger = logging.getLogger(__name__)


class TorchDetector:
    """A detector of MMDetection's with its weights.

    Attributes:
        config: Its MMEngine config.
        model: The module, in eval mode.
        classes: Names of the classes.
        device: Where it computes.
    """

    def __init__(
        self, config: Config, model: torch.nn.Module, classes: tuple[str, ...], device: torch.device
    ) -> None:
        self.config, self.classes, self.device = config, classes, device
        self.model: Any = model.to(device).eval()
        self.steps = test_steps(config)
        try:
            self._pipeline = Compose(self.steps)
        except Exception as error:  # a step may be of any kind
            problem = f"its test pipeline cannot be built ({error})"
            raise UserError(config.filename, problem, "mend the config") from error

    @property
    def has_masks(self) -> bool:
        """Whether it predicts instance masks."""
        return has_masks(self.config.model)

    def prepared(self, image: np.ndarray) -> dict[str, Any]:
        """An RGB image after the config's test pipeline: ``inputs`` and ``data_samples``."""
        found: dict[str, Any] = self._pipeline({"img": image[..., ::-1], "img_id": 0})
        return found

    def predict(self, images: Sequence[np.ndarray]) -> list[Found]:
        """Find objects in images, RGB uint8 (height, width, 3).

        Images that have the same size after resizing pass together. Others would be padded to a
        common size, and what is found would depend on which images come together.
        """
        prepared = [self.prepared(image) for image in images]
        groups: dict[torch.Size, list[int]] = {}
        for place, item in enumerate(prepared):
            groups.setdefault(item["inputs"].shape, []).append(place)
        found: dict[int, Found] = {}
        for places in groups.values():
            batch = {key: [prepared[i][key] for i in places] for key in ("inputs", "data_samples")}
            with torch.inference_mode():
                samples = self.model.test_step(batch)
            found |= {i: Found.of(sample) for i, sample in zip(places, samples, strict=True)}
        return [found[place] for place in range(len(images))]


def load_detector(
    weights: Path, config: Path, device: str = "auto", score_threshold: float | None = None
) -> TorchDetector:
    """The detector of ``config`` with ``weights``.

    Args:
        weights: A checkpoint.
        config: MMEngine config with a test pipeline, such as ``config.py`` beside results.
        device: As torch calls it, or ``auto``: the first GPU if there is one.
        score_threshold: Let it give detections down to this score, if its config does not.

    Raises:
        UserError: A file cannot be used, they do not belong together, or there is no such device.
    """
    place = torch_device(device)
    parsed = _read(config)
    state, recorded = read_checkpoint(weights)
    del state
    init_default_scope("mmdet")
    if recorded is not None:
        set_classes(parsed.model, len(recorded))
    if score_threshold is not None:
        lower_thresholds(parsed.model, score_threshold)
    parsed.model = without_pretrained(parsed.model)
    try:
        model = MODELS.build(parsed.model)
    except Exception as error:  # a config is anything
        raise UserError(config, f"makes no detector ({error})", "mend the config") from error
    load_weights(model, weights)
    return TorchDetector(parsed, model, recorded or _classes_of(parsed, weights), place)


def torch_device(name: str) -> torch.device:
    """A device by torch's name for it; ``auto``: the first GPU if there is one, else the CPU.

    Raises:
        UserError: There is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        known = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        problem = f"there is no device '{name}' here"
        raise UserError("--device", problem, f"there are: {', '.join(known)}") from error
    return device


def test_steps(config: Config) -> list[ConfigDict]:
    """The config's test pipeline for images in memory, without what reads annotations.

    Raises:
        UserError: It has none, or one that reads its images in a way of its own.
    """
    dataset, _ = innermost(config.get("test_dataloader", {}).get("dataset", ConfigDict()))
    steps = list(dataset.get("pipeline", []))
    where, remedy = config.filename, "give a config with a test pipeline, as results have it"
    if not steps:
        raise UserError(where, "has no test_dataloader with a pipeline", remedy)
    first = steps[0]
    if str(first["type"]).rpartition(".")[2] != "LoadImageFromFile":
        raise UserError(where, f"its test pipeline begins with {first['type']}", remedy)
    load = {"type": "mmdet.LoadImageFromNDArray", "to_float32": first.get("to_float32", False)}
    rest = [step for step in steps[1:] if "LoadAnnotations" not in str(step["type"])]
    return [ConfigDict(load), *rest]


def read_image(path: Path) -> np.ndarray:
    """An image file as RGB uint8, as MMDetection's pipelines read it: turned as its EXIF says.

    Raises:
        UserError: It cannot be read.
    """
    try:
        image = mmcv.imfrombytes(path.read_bytes(), flag="color", channel_order="rgb")
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise UserError(path, problem, "give a readable file") from error
    except Exception as error:  # OpenCV's own
        raise UserError(path, "is damaged", "replace it by a whole copy") from error
    if image is None:
        raise UserError(path, "is damaged or no image", "replace it by a whole copy")
    return np.ascontiguousarray(image)


def lower_thresholds(part: Any, threshold: float) -> None:
    """Lower every ``score_thr`` in a model config that is above ``threshold``."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "score_thr" and isinstance(value, int | float):
                part[key] = min(value, threshold)
            else:
                lower_thresholds(value, threshold)
    elif isinstance(part, list | tuple):
        for item in part:
            lower_thresholds(item, threshold)


def _read(config: Path) -> Config:
    try:
        parsed = read_config(str(config))
    except Exception as error:  # a config is Python: anything can go wrong in it
        raise UserError(config, f"cannot be read ({error})", "mend the config") from error
    if "model" not in parsed:
        raise UserError(config, "defines no model", "give a detector's config")
    return parsed


def _classes_of(config: Config, weights: Path) -> tuple[str, ...]:
    """Names of classes where the weights record none: the config's, or its data set's own."""
    dataset, _ = innermost(config.test_dataloader.dataset)
    named = dataset.get("metainfo", {}).get("classes")
    if named is None:
        kind = DATASETS.get(dataset["type"])
        named = getattr(kind, "METAINFO", {}).get("classes", ())
    logger.warning("%s records no class names; those of its config are taken", weights)
    return tuple(named)
