"""Processes that train one model together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from mmengine.config import Config

from mtpd.launch import is_launched

Value = TypeVar("Value")


@contextmanager
def together(config: Config) -> Iterator[None]:
    """Join the other processes of this training, if there are any, and set ``config`` for it.

    Beside GPUs by NCCL, each process on its own; without, by Gloo on the CPU.
    """
    if not is_launched():
        yield
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(local_rank())
    dist.init_process_group("nccl" if cuda else "gloo")
    config.launcher = "pytorch"
    config.model_wrapper_cfg = {
        "type": "MMDistributedDataParallel",
        "find_unused_parameters": config.get("find_unused_parameters", False),
        **config.get("model_wrapper_cfg", {}),
        # Not those that MMEngine would give on the CPU too: the model lies where it is.
        "device_ids": None,
    }
    try:
        yield
    finally:
        dist.destroy_process_group()


def local_rank() -> int:
    """Number of this process on its machine."""
    return int(dist.get_node_local_rank(fallback_rank=0))


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def any_of(condition: bool) -> bool:
    """Whether it holds in any process; all ask at the same time."""
    return any(gathered(condition))


def gathered(value: Value) -> list[Value]:
    """The value of every process, by rank; all ask at the same time."""
    if not dist.is_initialized():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values
