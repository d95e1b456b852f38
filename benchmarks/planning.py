"""Time and memory of a dry run, by the number of chains over ten teachers.

    python -m benchmarks.planning [--chains N [N ...]]

The chains are the orders of two teachers, then of three, then of four, so that later ones begin
like earlier ones. Every dry run is a process of its own; it plans in one thread. A hundred times a
second of processor time it is looked up whether a function of this project is at work: the rest is
Snakemake's own.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain, islice, permutations
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pandas as pd
import yaml

PROJECT = Path(__file__).parent.parent
CHAINS = (10, 100, 1000)
TEACHERS = "abcdefghij"
DETECTOR = {"config": str(PROJECT / "config" / "detectors" / "retinanet_small.py")}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time and memory of a dry run.")
    parser.add_argument("--chains", type=int, nargs="+", default=CHAINS)
    parser.add_argument("--sampled", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sampled:
        run_sampled(options.sampled)
    rows = [measure(count) for count in options.chains]
    sys.stdout.write(f"{pd.DataFrame(rows).to_markdown(index=False)}\n")


def orders() -> Iterator[tuple[str, ...]]:
    """Orders of two, three and four teachers: 5,850."""
    return chain.from_iterable(permutations(TEACHERS, length) for length in (2, 3, 4))


def experiment(count: int) -> dict[str, Any]:
    """Settings with ``count`` chains."""
    return {
        "data": {"source": "shapes", "train": 16, "val": 4, "size": 64},
        "pipeline": {"size": [64, 64]},
        "training": {"epochs": 1, "batch_size": 8, "optimizer": {"type": "AdamW", "lr": 0.001}},
        "student": {"name": "student", **DETECTOR},
        "teachers": {name: dict(DETECTOR) for name in TEACHERS},
        "methods": {"cwd": {"losses": [{"type": "cwd"}]}},
        "runs": {
            "-".join(order): {"method": "cwd", "order": list(order)}
            for order in islice(orders(), count)
        },
    }


def measure(count: int) -> dict[str, Any]:
    """One row: a dry run of ``count`` chains."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "planning.yaml").write_text(yaml.safe_dump(experiment(count), sort_keys=False))
        config = {"experiments": ["planning"], "folder": ".", "results": "results"}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        command = [
            sys.executable, "-m", "benchmarks.planning", "--sampled",
            "--snakefile", str(PROJECT / "Snakefile"), "--directory", name,
            "--configfile", str(folder / "config.yaml"), "--cores", "1", "--dry-run",
        ]  # fmt: skip
        with (folder / "output").open("w+") as output:
            start = time.perf_counter()
            job = subprocess.Popen(command, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT)
            # Unlike subprocess's own wait it says what this one process has used.
            _, status, used = os.wait4(job.pid, 0)
            wall = time.perf_counter() - start
            output.seek(0)
            text = output.read()
    jobs = re.search(r"^total +(\d+)$", text, re.MULTILINE)
    share = re.search(r"^sampled: (.*)$", text, re.MULTILINE)
    if status or jobs is None or share is None:
        sys.exit(text)
    return {
        "chains": count,
        "jobs": int(jobs[1]),
        "wall_seconds": round(wall, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mib": round(used.ru_maxrss / 1024),
        "snakemakes_own_percent": round(100 * float(share[1])),
    }


def run_sampled(arguments: list[str]) -> None:
    """Run Snakemake in this process, say which share of the time was its own, and exit."""
    from snakemake.cli import main as snakemake

    ours = total = 0

    def look(_signal: int, frame: FrameType | None) -> None:
        nonlocal ours, total
        total += 1
        while frame is not None and not is_ours(frame.f_code):
            frame = frame.f_back
        ours += frame is not None

    signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, 0.01, 0.01)
    try:
        snakemake(arguments)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(f"sampled: {1 - ours / total}\n")


def is_ours(code: CodeType) -> bool:
    """Whether it is a function of the project; the body of a rules file is Snakemake's to run."""
    if code.co_filename.endswith(".smk"):
        return code.co_name != "<module>"
    return code.co_filename.startswith(f"{PROJECT}/mtpd/")


if __name__ == "__main__":
    main()
