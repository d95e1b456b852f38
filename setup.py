"""What a wheel holds besides the library: the workflow and what belongs to it.

Everything else about the package stands in pyproject.toml. ``mtpd/installation.py`` finds these
files again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PROJECT = {
    "Snakefile": "Snakefile",
    "config": "config",
    "workflow/report": "workflow/report",
    "workflow/rules": "workflow/rules",
    "workflow/schemas": "workflow/schemas",
    "workflow/templates": "workflow/templates",
    # Snakemake looks for profiles/default beside the Snakefile; in the checkout it is a link.
    "workflow/profiles": "profiles",
}
"""Files and folders of the checkout, and where they lie in the package's folder ``project``."""


class BuildWithProject(build_py):
    """Builds the package, and copies the project into it."""

    def run(self) -> None:
        """Copy the library, and the project unless the checkout itself is installed."""
        super().run()
        if not self.editable_mode:
            for source, target in self._project_files():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target), preserve_mode=False)

    def get_source_files(self) -> list[str]:
        """What a source distribution has to hold."""
        return [*super().get_source_files(), *(str(source) for source, _ in self._project_files())]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What is built."""
        targets = [] if self.editable_mode else [str(file) for _, file in self._project_files()]
        return [*super().get_outputs(include_bytecode), *targets]

    def _project_files(self) -> Iterator[tuple[Path, Path]]:
        """Files of the checkout with their places in the build."""
        built = Path(self.build_lib, "mtpd", "project")
        for source, target in PROJECT.items():
            for file in sorted([Path(source), *Path(source).rglob("*")]):
                if file.is_file() and "__pycache__" not in file.parts:
                    yield file, built / target / file.relative_to(source)


setup(cmdclass={"build_py": BuildWithProject})
