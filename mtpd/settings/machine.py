"""What the machine has that the workflow runs on, for settings that are left to it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from mtpd.lease import installed_gpus

AUTO_GPUS = "MTPD_AUTO_GPUS"
"""Environment variable by which the workflow tells its jobs what ``gpus: auto`` is: they may run on
another machine, and must not find something else."""

VISIBLE = "CUDA_VISIBLE_DEVICES"
NONE = ("", "-1", "NoDevFiles")
"""How CUDA and Slurm write that there is no device."""


def gpus_here() -> int:
    """1 where this process may use a GPU, otherwise 0."""
    told = os.environ.get(AUTO_GPUS)
    if told is not None and told.isdigit():
        return int(told)
    visible = os.environ.get(VISIBLE)
    if visible is not None:
        return int(visible.split(",")[0].strip() not in NONE)
    return int(_has_gpu())


@cache
def _has_gpu() -> bool:
    """Whether there is one that answers; asked where a device file speaks for it."""
    return any(Path("/dev").glob("nvidia[0-9]*")) and bool(installed_gpus())
