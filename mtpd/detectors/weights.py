"""Reading and writing weights. A checkpoint is a pickle: what it may run is decided here alone."""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from torch import Tensor, nn
from torch.serialization import safe_globals

from mtpd.detectors.safetensors_weights import is_safetensors, read_safetensors
from mtpd.errors import UserError
from mtpd.files import sha256_of, whole_file

WITHOUT_CLASSES = ("backbone.", "neck.", "rpn_head.")
"""Parts of a detector in which no shape follows from the number of classes."""


def save_weights(
    path: Path, model: nn.Module, classes: Sequence[str], without: Sequence[str] = ()
) -> None:
    """:func:`save_state` of ``model``, without the tensors named in ``without``."""
    state = {key: value for key, value in model.state_dict().items() if key not in without}
    save_state(path, state, classes)


def save_state(path: Path, state: Mapping[str, Tensor], classes: Sequence[str]) -> None:
    """Write a checkpoint that ``mmdet.apis.init_detector`` loads as it is.

    It holds tensors and plain Python values only, so it loads with ``weights_only=True``.
    """
    tensors = {key: value.detach().cpu() for key, value in state.items()}
    meta = {"dataset_meta": {"classes": tuple(classes)}}
    # Into an open file: given a path, torch writes its name inside, and the same weights would have
    # other bytes every time.
    with whole_file(path) as temporary, temporary.open("wb") as file:
        torch.save({"meta": meta, "state_dict": tensors}, file)


def part_of(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {k.removeprefix(prefix): value for k, value in state.items() if k.startswith(prefix)}


def read_checkpoint(
    path: Path, sha256: str | None = None, trusted: bool = False
) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    """State dictionary of a checkpoint, and the class names that it records, if any.

    Args:
        path: A checkpoint as MMEngine or MMDetection 2 writes it, a bare state dictionary, or
            safetensors.
        sha256: Start of the hexadecimal SHA-256 that the file must have. A file that has a whole
            one is what it claims to be and may be a full pickle.
        trusted: The user, or the zoo's hash, vouches for the file; it may be a full pickle.

    Raises:
        UserError: The file is missing, has another hash, is no checkpoint, or would run code.
    """
    if not path.is_file():
        raise UserError(path, "there is no such checkpoint", "give the weights of the detector")
    if sha256 is not None:
        found = sha256_of(path)
        if not found.startswith(sha256):
            raise UserError(path, f"its SHA-256 is {found}", f"it must start with {sha256}")
    if is_safetensors(path):
        state, classes = read_safetensors(path)
        return _own(state), classes
    vouched = trusted or (sha256 is not None and len(sha256) == 64)
    try:
        checkpoint = _unpickled(path, vouched)
    except pickle.UnpicklingError as error:
        raise UserError(
            path,
            "is damaged, or holds more than tensors and could run code when it is loaded",
            "give its full sha256, or set trusted: true if you trust where it comes from",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, AttributeError, ImportError) as error:
        raise UserError(path, "is no readable checkpoint", "give it anew") from error
    return _state_and_classes(path, checkpoint)


def load_weights(
    model: nn.Module, path: Path, sha256: str | None = None, trusted: bool = False
) -> tuple[str, ...] | None:
    """Load a checkpoint into ``model``, every tensor of it; returns the recorded classes.

    What MMDetection's modules themselves make of the names of older versions is as good.

    Raises:
        UserError: As :func:`read_checkpoint`, or names or shapes differ; what fits is loaded then.
    """
    state, classes = read_checkpoint(path, sha256, trusted)
    _refuse(path, _copy(model, state))
    return classes


def load_start(
    model: nn.Module,
    classes: Sequence[str],
    path: Path,
    sha256: str | None = None,
    trusted: bool = False,
) -> tuple[str, ...]:
    """Load a checkpoint into ``model`` to train on from it; returns what was left out.

    Tensors that predict classes stay as they are where the checkpoint's are for another number of
    classes: those that differ in their first dimension alone, in a head.

    Args:
        model: Gets the weights.
        classes: That the model shall learn. A checkpoint that records these has to fit whole.
        path: As for :func:`read_checkpoint`.
        sha256: As there.
        trusted: As there.

    Raises:
        UserError: As :func:`read_checkpoint`, or other names or shapes differ.
    """
    state, recorded = read_checkpoint(path, sha256, trusted)
    misfit = _copy(model, state)
    left: list[str] = []
    if recorded != tuple(classes):
        left = [key for key, shapes in misfit.unlike.items() if _is_of_classes(key, *shapes)]
    kept = {key: shapes for key, shapes in misfit.unlike.items() if key not in left}
    _refuse(path, replace(misfit, unlike=kept))
    return tuple(left)


@dataclass(frozen=True)
class _Misfit:
    """How a state dictionary differs from a model.

    Attributes:
        missing: Names that the model has alone.
        extra: Names that the state dictionary has alone.
        unlike: Shape in the state dictionary and in the model, where they differ.
    """

    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    unlike: dict[str, tuple[torch.Size, torch.Size]] = field(default_factory=dict)


def _copy(model: nn.Module, state: dict[str, Tensor]) -> _Misfit:
    """Copy what fits into ``model``, each module by its own way of reading older versions."""
    misfit = _Misfit()
    metadata = getattr(state, "_metadata", {})

    def copy(module: nn.Module, own: dict[str, Tensor], prefix: str) -> None:
        version = metadata.get(prefix[:-1], {})
        # Every module may rename entries of `own`, and notes what is left over.
        module._load_from_state_dict(own, prefix, version, True, misfit.missing, misfit.extra, [])
        tensors = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        for name, tensor in tensors:
            given = own.get(prefix + name)
            if given is not None and given.shape != tensor.shape:
                misfit.unlike[prefix + name] = (given.shape, tensor.shape)
        for name, child in module._modules.items():
            if child is not None:
                start = f"{prefix}{name}."
                copy(child, {k: v for k, v in own.items() if k.startswith(start)}, start)

    copy(model, dict(state), "")
    # Batch normalisation counts its batches only since PyTorch 0.4.1, and no detector needs it.
    missing = [key for key in misfit.missing if not key.endswith("num_batches_tracked")]
    return replace(misfit, missing=missing)


def _refuse(path: Path, misfit: _Misfit) -> None:
    """Say how the weights in ``path`` do not fit.

    Raises:
        UserError: They do not.
    """
    unlike = [
        f"{key} is {tuple(given)}, not {tuple(own)}" for key, (given, own) in misfit.unlike.items()
    ]
    problems = [
        f"{len(items)} {what} (first: {min(items)})"
        for items, what in (
            (unlike, "of other shape"),
            (misfit.missing, "missing"),
            (misfit.extra, "too many"),
        )
        if items
    ]
    if problems:
        raise UserError(
            path,
            f"the weights do not fit the detector's config: {', '.join(problems)}",
            "give the weights that belong to this config, trained for this data set's classes",
        )


def _is_of_classes(key: str, given: torch.Size, own: torch.Size) -> bool:
    """Whether a tensor's shape follows from the number of classes, by its name and both shapes."""
    return not key.startswith(WITHOUT_CLASSES) and len(given) > 0 and given[1:] == own[1:]


def _unpickled(path: Path, vouched: bool) -> Any:
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


def _state_and_classes(
    path: Path, checkpoint: Any
) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(path, "holds no state dictionary", "give a detector's checkpoint")
    return _own(state), _classes(checkpoint.get("meta"))


def _own(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the detector itself, by its own names."""
    # A model saved from inside DistributedDataParallel has this prefix on every name, and
    # checkpoints of MMEngine's exponential moving average keep both; the detector is without.
    own = OrderedDict(
        (key.removeprefix("module."), value)
        for key, value in state.items()
        if not key.startswith("ema_")
    )
    # By the versions of its modules they know what to make of older names.
    versions = getattr(state, "_metadata", {})
    own._metadata = {  # type: ignore[attr-defined]
        key.removeprefix("module").removeprefix("."): value for key, value in versions.items()
    }
    return own


def _classes(meta: Any) -> tuple[str, ...] | None:
    """Class names that a checkpoint's ``meta`` records, as MMDetection 3 or 2 writes them."""
    meta = meta if isinstance(meta, dict) else {}
    dataset = meta.get("dataset_meta")
    dataset = dataset if isinstance(dataset, dict) else {}
    for found in (dataset.get("classes"), dataset.get("CLASSES"), meta.get("CLASSES")):
        if isinstance(found, str):
            return (found,)
        if found and isinstance(found, list | tuple):
            return tuple(map(str, found))
    return None
