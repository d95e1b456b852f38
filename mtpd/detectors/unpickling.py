"""Unpickling a checkpoint, so that it runs no code unless somebody vouches for it."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from torch.serialization import safe_globals


def unpickled(path: Path, vouched: bool) -> Any:
    """What the file holds; more than tensors, plain values and logged figures only if vouched for.

    Raises:
        pickle.UnpicklingError: It holds more.
    """
    # Open files: by its name alone torch would take a file for safetensors.
    try:
        with safe_globals(_harmless()), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        if not vouched:
            raise
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=False)


def _harmless() -> list[Any]:
    """What MMEngine and MMDetection save beside the weights, and torch does not know.

    Numbers and arrays of NumPy, under the names of its first and its second version, and the
    history of logged figures, which is pickled with its own methods by ``getattr``.
    """
    named: list[Any] = [
        (_Array, "numpy.ndarray"),
        (_dtype_of, "numpy.dtype"),
        HistoryBuffer,
        (_method_of, "builtins.getattr"),
    ]
    scalar = np.float64(0).__reduce__()[0]
    for package in ("numpy.core", "numpy._core"):
        named += [(scalar, f"{package}.multiarray.scalar")]
        named += [(_empty_array, f"{package}.multiarray._reconstruct")]
    return [*named, *{type(np.dtype(kind)) for kind in "?bhilqBHILQefd"}]


class _Array(np.ndarray):
    """Stands for NumPy's array in a checkpoint, which could be made of bytes that are pointers."""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        raise pickle.UnpicklingError("an array is made of bytes")


def _empty_array(kind: Any, *_: Any) -> _Array:
    """Stands for the function that begins an array; its numbers are filled in afterwards.

    Raises:
        pickle.UnpicklingError: Anything but an array is asked for.
    """
    if kind is not _Array:
        raise pickle.UnpicklingError(f"{kind} is no array")
    return np.ndarray.__new__(_Array, (0,), "b")


def _dtype_of(code: Any, *_: Any) -> np.dtype[Any]:
    """Stands for ``numpy.dtype``: gives the plain numbers, which a pickle cannot alter.

    Raises:
        pickle.UnpicklingError: Another kind is asked for, such as of Python's objects.
    """
    if not (isinstance(code, str) and re.fullmatch("[biuf][1248]", code)):
        raise pickle.UnpicklingError(f"{code!r} is no kind of number")
    return np.dtype(code)


def _method_of(owner: Any, name: str) -> Any:
    """Stands for ``getattr`` in a checkpoint: gives the figures' own statistics and nothing else.

    Raises:
        pickle.UnpicklingError: Anything else is asked for.
    """
    if owner is not HistoryBuffer or name not in ("min", "max", "current", "mean"):
        raise pickle.UnpicklingError(f"getattr of {name} is no statistic of logged figures")
    return getattr(HistoryBuffer, name)
