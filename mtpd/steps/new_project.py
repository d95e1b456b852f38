"""A new project: a folder of a person's own that uses the installed workflow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mtpd.errors import UserError
from mtpd.files import whole_file
from mtpd.installation import PROFILES, PROJECT, TEMPLATES
from mtpd.settings.runtime import CONFIG, EXPERIMENTS

LINKS = ("gpu", "slurm")
"""Profiles that ``snakemake --profile NAME`` finds by their names: links at the top."""


@dataclass
class NewProject:
    """What has become of a project's files.

    Attributes:
        folder: Of the project.
        written: Files and links that are new, relative to it.
        kept: Those that were there already, and are as they were.
    """

    folder: Path
    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)


def write_project(folder: Path) -> NewProject:
    """Write what is missing of a project into ``folder``; what is there stays as it is.

    Raises:
        UserError: There is a file in place of a folder.
    """
    project = NewProject(folder)
    for source, name in _files():
        target = folder / name
        if _is_there(target, project):
            continue
        _check_parents(target)
        with whole_file(target) as temporary:
            shutil.copyfile(source, temporary)
        project.written.append(name)
    for link in LINKS:
        if not _is_there(folder / link, project):
            (folder / link).symlink_to(Path("profiles", link))
            project.written.append(Path(link))
    return project


def _files() -> Iterator[tuple[Path, Path]]:
    """What is copied, and to where in the project."""
    yield TEMPLATES / "Snakefile", Path("Snakefile")
    yield TEMPLATES / "gitignore", Path(".gitignore")
    yield PROJECT / CONFIG, CONFIG
    yield PROJECT / EXPERIMENTS / "demo.yaml", EXPERIMENTS / "demo.yaml"
    yield TEMPLATES / "template.yaml", EXPERIMENTS / "template.yaml"
    for profile in sorted(PROFILES.glob("*/*.yaml")):
        yield profile, Path("profiles", profile.relative_to(PROFILES))


def _is_there(target: Path, project: NewProject) -> bool:
    found = os.path.lexists(target)
    if found:
        project.kept.append(target.relative_to(project.folder))
    return found


def _check_parents(target: Path) -> None:
    for parent in target.parents:
        if os.path.lexists(parent) and not parent.is_dir():
            problem = "is a file, and a folder is to be there"
            raise UserError(parent, problem, "move it away, or name another folder")
