"""Reading and writing weights. A checkpoint is a pickle: what it may run is decided here alone."""

from __future__ import annotations

import logging
import pickle
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtpd.detectors.distiller_weights import left_out, student_of, student_prefix
from mtpd.detectors.file_kinds import kind_of
from mtpd.detectors.fitting import classes_of, copy_into, is_of_classes, refuse
from mtpd.detectors.safetensors_weights import is_safetensors, read_safetensors
from mtpd.detectors.unpickling import unpickled
from mtpd.errors import UserError
from mtpd.files import sha256_of, whole_file

logger = logging.getLogger(__name__)


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

    Of a distiller's checkpoint, which holds student and teacher, the student is taken; it is said.

    Args:
        path: A checkpoint as MMEngine or MMDetection 2 writes it, or a distiller that is built on
            them; a bare state dictionary; or safetensors.
        sha256: Start of the hexadecimal SHA-256 that the file must have. A file that has a whole
            one is what it claims to be and may be a full pickle.
        trusted: The user, or the zoo's hash, vouches for the file; it may be a full pickle.

    Raises:
        UserError: The file is missing, has another hash, is no checkpoint, or would run code.
    """
    _check_kind(path)
    if sha256 is not None:
        found = sha256_of(path)
        if not found.startswith(sha256):
            raise UserError(path, f"its SHA-256 is {found}", f"it must start with {sha256}")
    if is_safetensors(path):
        state, classes = read_safetensors(path)
        return _own(path, state), classes
    vouched = trusted or (sha256 is not None and len(sha256) == 64)
    try:
        checkpoint = unpickled(path, vouched)
    except pickle.UnpicklingError as error:
        raise UserError(
            path,
            "is damaged, or holds more than tensors and could run code when it is loaded",
            "give its full sha256, or set trusted: true if you trust where it comes from",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, AttributeError, ImportError) as error:
        raise UserError(path, "is not a readable checkpoint", "get the file again") from error
    return _state_and_classes(path, checkpoint)


def _check_kind(path: Path) -> None:
    """Refuse what is no checkpoint, and say what it is.

    Raises:
        UserError: It is none.
    """
    if path.is_dir():
        raise UserError(
            path, "is a folder", "give one of the checkpoints in it, such as epoch_12.pth"
        )
    if not path.is_file():
        raise UserError(path, "there is no such checkpoint", "give the weights of the detector")
    if kind := kind_of(path):
        raise UserError(path, *kind)


def load_weights(
    model: nn.Module, path: Path, sha256: str | None = None, trusted: bool = False
) -> tuple[str, ...] | None:
    """Load a checkpoint into ``model``, every tensor of it; returns the recorded classes.

    What MMDetection's modules themselves make of the names of older versions is as good.

    Raises:
        UserError: As :func:`read_checkpoint`, or names or shapes differ; what fits is loaded then.
    """
    state, classes = read_checkpoint(path, sha256, trusted)
    refuse(path, copy_into(model, state), classes_of(model))
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
    misfit = copy_into(model, state)
    left: list[str] = []
    if recorded != tuple(classes):
        left = [key for key, shapes in misfit.unlike.items() if is_of_classes(key, *shapes)]
    kept = {key: shapes for key, shapes in misfit.unlike.items() if key not in left}
    refuse(path, replace(misfit, unlike=kept))
    if not left:
        _say_kept(path, recorded, classes)
    return tuple(left)


def _say_kept(path: Path, recorded: tuple[str, ...] | None, classes: Sequence[str]) -> None:
    """Say if what predicts classes is kept, though it may be for others."""
    if recorded is None:
        logger.warning(
            "%s: records no class names; by their number (%d) it fits, so what predicts classes is "
            "kept",
            path, len(classes),
        )  # fmt: skip
    elif recorded != tuple(classes):
        logger.warning(
            "%s: is for other classes (first: %s), but as many, so what predicts classes is kept",
            path, recorded[0],
        )  # fmt: skip


def _state_and_classes(
    path: Path, checkpoint: Any
) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        keys = ", ".join(map(str, list(checkpoint)[:5])) if isinstance(checkpoint, dict) else ""
        problem = f"holds no state dictionary{f' (it has: {keys})' if keys else ''}"
        raise UserError(path, problem, "give a detector's checkpoint, with state_dict")
    return _own(path, state), _classes(checkpoint.get("meta"))


def _own(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the detector itself, by its own names."""
    # A model saved from inside DistributedDataParallel has this prefix on every name, and
    # checkpoints of MMEngine's exponential moving average keep both; the detector is without.
    own = {
        key.removeprefix("module."): value
        for key, value in state.items()
        if not key.startswith("ema_")
    }
    # By the versions of its modules they know what to make of older names.
    versions = {
        f"{key}.".removeprefix("module."): value
        for key, value in getattr(state, "_metadata", {}).items()
    }
    prefix = student_prefix(own)
    if prefix is not None:
        others = left_out(own, prefix)
        own, versions = student_of(own, prefix), student_of(versions, prefix)
        logger.warning(
            "%s: is a distiller's checkpoint: its student, %d tensors called '%s…', is taken; "
            "left out: %s",
            path, len(own), prefix, others,
        )  # fmt: skip
    named = OrderedDict(own)
    named._metadata = {  # type: ignore[attr-defined]
        key.removesuffix("."): value for key, value in versions.items()
    }
    return named


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
