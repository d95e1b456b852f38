"""Snakemake's own checks of the rules."""

from __future__ import annotations

import re
import subprocess
import sys

from micro import PROJECT

# The Snakefile imports mtpd itself, so the environment of the jobs is there before any rule's own.
NO_ENVIRONMENTS = "Specify a conda environment or container for each rule."


def test_lint_finds_nothing() -> None:
    command = [sys.executable, "-m", "snakemake", "--lint"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    titles = re.findall(r"^    \* (.*):$", output, flags=re.MULTILINE)
    assert len(titles) == output.count("Lints for "), output
    assert set(titles) == {NO_ENVIRONMENTS}
