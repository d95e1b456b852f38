"""Packages import each other one way, in the order that CONTRIBUTING.md states."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from micro import PROJECT

# Each may import those before it. The package's own __init__ is called mtpd.
ORDER = (
    *("errors", "files", "digests", "store", "layout", "chains"),
    *("installation", "launch", "lease", "mmcv_ext", "mtpd"),
    "settings",
    *("data", "detectors", "zoo", "features", "selection", "distillation", "evaluation"),
    *("experiment", "estimation", "overview", "papers", "intake"),
    *("reporting", "display", "steps", "api", "commands", "cli", "forks"),
)
Graph = dict[str, set[str]]


def module_of(file: Path) -> str:
    """Dotted name of a file of the project."""
    parts = file.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in sorted((PROJECT / "mtpd").rglob("*.py"))}


def imports_of(file: Path) -> Iterator[str]:
    """Modules of mtpd that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are written in full"
            for alias in node.names:
                named = f"{node.module}.{alias.name}"
                found = named if named in MODULES else str(node.module)
                if found in MODULES:
                    yield found


def package_of(module: str) -> str:
    """The part of mtpd that a module belongs to."""
    return module.removeprefix("mtpd.").partition(".")[0]


def graph(name_of: Callable[[str], str], inside: str = "mtpd") -> Graph:
    """Name → names that it imports, without itself, of the modules in the package ``inside``."""
    own = [module for module in MODULES if f"{module}.".startswith(f"{inside}.")]
    found: Graph = {name_of(module): set() for module in own}
    for module in own:
        names = {name_of(other) for other in imports_of(MODULES[module]) if other in own}
        found[name_of(module)] |= names - {name_of(module)}
    return found


PACKAGES = graph(package_of)


def cycle_of(imports: Graph) -> list[str]:
    """A circle of names that import each other; empty: there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_packages_import_each_other() -> None:
    assert cycle_of(PACKAGES) == []


def test_the_order_names_every_package_once() -> None:
    assert sorted(ORDER) == sorted(PACKAGES)


@pytest.mark.parametrize("package", ORDER)
def test_a_package_imports_those_before_it(package: str) -> None:
    assert PACKAGES[package] <= set(ORDER[: ORDER.index(package)])


def test_contributing_states_the_order() -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = text.partition("Imports go one way")[2].partition("\n\n")[2].partition("\n\n")[0]
    assert tuple(listed.replace(",", " ").split()) == ORDER


@pytest.mark.parametrize("package", [name for name in ORDER if f"mtpd.{name}" in MODULES])
def test_no_modules_of_a_package_import_each_other(package: str) -> None:
    assert cycle_of(graph(str, f"mtpd.{package}")) == []


def test_a_circle_is_found() -> None:
    assert set(cycle_of({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
