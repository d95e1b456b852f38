"""Where the workflow lies, with the experiments, detectors and weights that come with it.

A checkout has them beside the library. An installed package holds the same tree in its folder
``project``, where ``setup.py`` has put it.
"""

from __future__ import annotations

from pathlib import Path

LIBRARY = Path(__file__).resolve().parent
"""Folder of the Python package."""

_PACKAGED = LIBRARY / "project"

PROJECT = _PACKAGED if _PACKAGED.is_dir() else LIBRARY.parent
"""Folder with the Snakefile, ``workflow/``, ``config/`` and ``profiles/``."""

SNAKEFILE = PROJECT / "Snakefile"
"""The workflow's entry."""

PROFILES = PROJECT / "profiles"
"""Snakemake's profiles: ``default``, ``gpu`` and ``slurm``."""

TEMPLATES = PROJECT / "workflow" / "templates"
"""What a new project starts from."""
