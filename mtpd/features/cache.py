"""The feature cache: a safetensors file that knows what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mtpd.errors import UserError
from mtpd.files import whole_file

Features = dict[int, np.ndarray]


@dataclass(frozen=True)
class CacheIdentity:
    """What a cache was made from. Two detectors compare only if all but the weights agree.

    Attributes:
        weights_sha256: Of the detector's checkpoint.
        data_sha256: Of the annotations that name the images.
        image_ids: Calibration images, in order.
        points: Sample points per image and level.
        seed: Of the points.
    """

    weights_sha256: str
    data_sha256: str
    image_ids: tuple[int, ...]
    points: int
    seed: int


def save_cache(path: Path, features: Mapping[int, np.ndarray], identity: CacheIdentity) -> None:
    """Write ``features``: stride → float32 array of shape (images, points, channels)."""
    # safetensors writes an array's memory as it lies, so it must lie in C order.
    tensors = {
        f"stride_{stride}": np.ascontiguousarray(values) for stride, values in features.items()
    }
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata={"identity": json.dumps(asdict(identity))})


def load_cache(path: Path, expected: CacheIdentity) -> Features:
    """Read a cache as stride → array, finest level first.

    Raises:
        UserError: The file is no cache, or was made from something else than ``expected``.
    """
    remedy = f"delete {path} so that it is made anew"
    try:
        with safe_open(path, framework="numpy") as file:
            identity = json.loads((file.metadata() or {})["identity"])
            features = {
                int(key.removeprefix("stride_")): file.get_tensor(key)
                for key in list(file.keys())  # a handle, not a mapping: it does not iterate
            }
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(path, f"is no readable feature cache ({error})", remedy) from error
    wanted = json.loads(json.dumps(asdict(expected)))
    changed = [key for key in wanted if identity.get(key) != wanted[key]]
    if changed:
        raise UserError(path, f"was made from other {', '.join(changed)}", remedy)
    return dict(sorted(features.items()))
