"""What the machine has that training will run on."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from mtpd.settings.machine import gpus_here

QUERY_SECONDS = 30
GIB = 1024**3
UNKNOWN_GPU = ("a GPU of unknown size", 8.0)
"""Name and GiB that are taken where ``nvidia-smi`` does not tell them."""


@dataclass(frozen=True)
class Machine:
    """Processors and memory.

    Attributes:
        cores: Of the CPU that this process may use.
        memory_gb: GiB of main memory.
        gpus: GPUs of one training.
        gpu_name: Of the smallest; empty: there is none.
        gpu_memory_gb: GiB of that one.
    """

    cores: int
    memory_gb: float
    gpus: int = 0
    gpu_name: str = ""
    gpu_memory_gb: float = 0

    @classmethod
    def here(cls, gpus: int | None = None) -> Machine:
        """What there is; ``gpus``: those that a training is to use, None: one if there is any."""
        cores = len(os.sched_getaffinity(0))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
        wanted = gpus_here() if gpus is None else gpus
        if not wanted:
            return cls(cores, memory)
        name, gpu_memory = min(_gpus(), key=lambda gpu: gpu[1], default=UNKNOWN_GPU)
        return cls(cores, memory, wanted, name, gpu_memory)

    @property
    def words(self) -> str:
        """For the screen and the YAML."""
        if self.gpus:
            several = f"{self.gpus} x " if self.gpus > 1 else ""
            return f"{several}{self.gpu_name}, {self.gpu_memory_gb:.0f} GiB"
        return f"no GPU, {self.cores} CPU core{'s' if self.cores > 1 else ''}"


def _gpus() -> list[tuple[str, float]]:
    """Name and GiB of every GPU here; empty where ``nvidia-smi`` does not answer."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=QUERY_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.rpartition(",") for line in done.stdout.splitlines()]
    return [
        (name.strip(), float(memory) / 1024) for name, _, memory in rows if memory.strip().isdigit()
    ]
