"""Reading and writing weights. A checkpoint is a pickle: what it may run is decided here alone."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtpd.errors import UserError
from mtpd.files import sha256_of, whole_file


def save_weights(path: Path, model: nn.Module, classes: Sequence[str]) -> None:
    """Write a checkpoint of ``model`` alone that ``mmdet.apis.init_detector`` loads as it is.

    It holds tensors and plain Python values only, so it loads with ``weights_only=True``.
    """
    state = {key: value.detach().cpu() for key, value in model.state_dict().items()}
    meta = {"dataset_meta": {"classes": tuple(classes)}}
    with whole_file(path) as temporary:
        torch.save({"meta": meta, "state_dict": state}, temporary)


def read_checkpoint(
    path: Path, sha256: str | None = None, trusted: bool = False
) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    """State dictionary of a checkpoint, and the class names that it records, if any.

    Args:
        path: A checkpoint as MMEngine writes it, or a bare state dictionary.
        sha256: Start of the hexadecimal SHA-256 that the file must have. A file that has it is
            what it claims to be and may be a full pickle.
        trusted: The user vouches for the file; it may be a full pickle.

    Raises:
        UserError: The file is missing, has another hash, is no checkpoint, or would run code.
    """
    if not path.is_file():
        raise UserError(path, "there is no such checkpoint", "give the weights of the detector")
    if sha256 is not None:
        found = sha256_of(path)
        if not found.startswith(sha256):
            raise UserError(path, f"its SHA-256 is {found}", f"it must start with {sha256}")
    vouched = trusted or (sha256 is not None and len(sha256) == 64)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=not vouched)
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

    Raises:
        UserError: As :func:`read_checkpoint`, or names or shapes differ.
    """
    state, classes = read_checkpoint(path, sha256, trusted)
    own = model.state_dict()
    missing = sorted(own.keys() - state.keys())
    extra = sorted(state.keys() - own.keys())
    unlike = [
        f"{key} is {tuple(state[key].shape)}, not {tuple(own[key].shape)}"
        for key in sorted(own.keys() & state.keys())
        if own[key].shape != state[key].shape
    ]
    problems = [
        f"{len(items)} {what} (first: {items[0]})"
        for items, what in ((unlike, "of other shape"), (missing, "missing"), (extra, "too many"))
        if items
    ]
    if problems:
        raise UserError(
            path,
            f"the weights do not fit the detector's config: {', '.join(problems)}",
            "give the weights that belong to this config, trained for this data set's classes",
        )
    model.load_state_dict(state)
    return classes


def _state_and_classes(
    path: Path, checkpoint: Any
) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    state = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(path, "holds no state dictionary", "give a detector's checkpoint")
    # A model saved from inside DistributedDataParallel has this prefix on every name.
    state = {key.removeprefix("module."): value for key, value in state.items()}
    # Checkpoints of MMEngine's exponential moving average keep both; the detector is without.
    state = {key: value for key, value in state.items() if not key.startswith("ema_")}
    meta = checkpoint.get("meta") or {}
    classes = (meta.get("dataset_meta") or {}).get("classes", meta.get("CLASSES"))
    return state, tuple(classes) if classes else None
