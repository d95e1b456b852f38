"""Weights as safetensors: tensors and a few words, nothing that could run when it is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mtpd.errors import UserError
from mtpd.files import whole_file


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: eight bytes of a length, and a JSON object."""
    with path.open("rb") as file:
        start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    return start[8:] == b"{" and length <= path.stat().st_size - 8


def write_safetensors(
    path: Path, state: Mapping[str, Tensor], classes: Sequence[str] | None, half: bool = False
) -> None:
    """Write a state dictionary, and the classes if they are known.

    Args:
        path: Of the file.
        state: Tensors by name.
        classes: Names of the classes that the detector predicts.
        half: Whether to write floating-point tensors in 16 bits.

    Raises:
        UserError: A value is too large for 16 bits.
    """
    tensors = {}
    for key, tensor in state.items():
        small = tensor.half() if half and tensor.is_floating_point() else tensor
        if not torch.equal(small.isfinite(), tensor.isfinite()):
            problem = f"{key} has values above 65504, the largest that 16 bits can hold"
            raise UserError(path, problem, "write it without --half")
        tensors[key] = small.detach().cpu().contiguous()
    metadata = {} if classes is None else {"classes": json.dumps(list(classes))}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata)


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    """State dictionary, and the classes where the file has them as JSON.

    Raises:
        UserError: The file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in list(file.keys())}
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise UserError(path, _fault(path, error), "get the file again") from error
    try:
        classes = json.loads(metadata.get("classes", "null"))
    except ValueError:
        classes = None
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    return state, tuple(classes) if named else None


def _fault(path: Path, error: Exception) -> str:
    """What is wrong with a file that cannot be read; by its header it can be seen to be cut off."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            header = file.read(int.from_bytes(file.read(8), "little"))
        tensors = [v for k, v in json.loads(header).items() if k != "__metadata__"]
        needed = 8 + len(header) + max(tensor["data_offsets"][1] for tensor in tensors)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        needed = size
    if needed > size:
        return f"is cut off: has {size} of {needed} bytes"
    return f"is not a readable safetensors file ({error})"
