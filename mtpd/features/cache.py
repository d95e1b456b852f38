"""The feature cache: a safetensors file that knows what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
    features, identity = read_cache(path)
    wanted = json.loads(json.dumps(asdict(expected)))
    changed = [key for key in wanted if identity.get(key) != wanted[key]]
    if changed:
        raise UserError(path, f"was made from other {', '.join(changed)}", _remedy(path))
    return features


def load_comparable(paths: Mapping[str, Path]) -> dict[str, Features]:
    """Read caches by their detectors' names, as :func:`load_cache` does.

    Raises:
        UserError: A file is no cache, or they are not from the same points of the same images.
    """
    found: dict[str, Features] = {}
    first: tuple[Path, dict[str, Any]] | None = None
    for name, path in paths.items():
        found[name], identity = read_cache(path)
        identity.pop("weights_sha256", None)
        first = first or (path, identity)
        other = [key for key in identity if identity[key] != first[1].get(key)]
        if other:
            problem = f"was made from other {', '.join(other)} than {first[0]}"
            raise UserError(path, problem, "compare caches of one experiment")
    return found


def read_cache(path: Path) -> tuple[Features, dict[str, Any]]:
    """A cache as stride → array, finest level first, and what it was made from.

    Raises:
        UserError: The file is no cache.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            identity = json.loads((file.metadata() or {})["identity"])
            features = {
                int(key.removeprefix("stride_")): file.get_tensor(key)
                for key in list(file.keys())  # a handle, not a mapping: it does not iterate
            }
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        problem = f"is not a readable feature cache ({error})"
        raise UserError(path, problem, _remedy(path)) from error
    return dict(sorted(features.items())), identity


def _remedy(path: Path) -> str:
    return f"delete {path} so that it is made again"
