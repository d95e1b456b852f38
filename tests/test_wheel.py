"""The built wheel in an environment of its own: a new project there runs the workflow."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import MICRO, PROJECT, changed

from mtpd.experiment.load import load_experiment
from mtpd.installation import PROFILES, TEMPLATES
from mtpd.settings.runtime import CONFIG, EXPERIMENTS
from mtpd.steps.new_project import LINKS, write_project

pytestmark = pytest.mark.xdist_group("wheel")

NO_SOURCES = {"tests", "docs", "benchmarks", "results", "build", "dist"}
WRITTEN = {
    *("Snakefile", ".gitignore", "config/config.yaml"),
    *("config/experiments/demo.yaml", "config/experiments/template.yaml"),
    *(f"profiles/{name}/config.yaml" for name in ("default", "gpu", "slurm")),
    *LINKS,
}

IDENTITIES = """
import json, sys
from pathlib import Path
from mtpd.digests import Digests
from mtpd.experiment.load import open_experiment
from mtpd.experiment.recipes import Recipes, Task
from mtpd.settings.runtime import workflow_settings
from mtpd.zoo.sources import given_weights
experiment, layout = open_experiment("demo")
zoo, digests = workflow_settings().zoo, Digests()
recipes = Recipes(experiment, layout, zoo, digests)
found = {}
for name in experiment.detectors:
    weights = given_weights(experiment.detector(name), zoo)
    digest = digests.of(weights.path) if weights else None
    found[name] = [recipes.of(Task("train", (name,))).settings, digest]
print(json.dumps(found, sort_keys=True))
"""


def call(command: list[str | Path], folder: Path, **environment: str) -> str:
    """Output of a command that must succeed, without this checkout on Python's path."""
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**outside, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and the requirements of the one that tests run in."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def mtpd(self, folder: Path, *arguments: str | Path) -> str:
        return call([self.folder / "bin" / "mtpd", *arguments], folder)

    def snakemake(self, folder: Path, *arguments: str) -> str:
        return call([self.python, "-m", "snakemake", "--cores", "2", *arguments], folder)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel that is built from a source distribution, as a package index would have both."""
    folder = tmp_path_factory.mktemp("wheel")
    sources, built = folder / "sources", folder / "built"
    sources.mkdir()
    without = shutil.ignore_patterns("__pycache__")
    for path in PROJECT.glob("[!.]*"):
        if path.name in NO_SOURCES or path.suffix in (".egg-info", ".whl") or path.is_symlink():
            continue
        if path.is_dir():
            shutil.copytree(path, sources / path.name, ignore=without)
        else:
            shutil.copy(path, sources)
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(built)!r})"
    call([sys.executable, "-c", code], sources)
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    [unpacked] = folder.glob("mtpd-*")
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    call([*pip, "wheel", ".", *offline, "--no-build-isolation", "-w", built], unpacked)
    [wheel] = built.glob("*.whl")
    call([sys.executable, "-m", "venv", "--without-pip", folder / "environment"], folder)
    made = Installed(folder / "environment")
    paths = call(
        [made.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder
    )
    # Its own packages come first; .pth files of the other environment are not read.
    (Path(paths.strip()) / "requirements.pth").write_text(sysconfig.get_path("purelib"))
    call([*pip, "--python", made.python, "install", *offline, wheel], folder)
    return made


@pytest.fixture
def project(installed: Installed, tmp_path: Path) -> Path:
    """A new project, made in an empty folder by the installed command."""
    installed.mtpd(tmp_path, "new", "my-project")
    return tmp_path / "my-project"


def files_of(folder: Path) -> set[str]:
    """Files and links below ``folder``; links are not followed."""
    paths = (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return {str(path.relative_to(folder)) for path in paths}


def test_a_new_project_is_written_and_said(installed: Installed, tmp_path: Path) -> None:
    said = installed.mtpd(tmp_path, "new", "my-project")
    assert files_of(tmp_path / "my-project") == WRITTEN
    lines = [line.split() for line in said.splitlines() if line.startswith("wrote")]
    assert {words[1].removeprefix("my-project/") for words in lines} == WRITTEN
    assert "cd my-project && snakemake --cores 2" in said
    found = next(line for line in said.splitlines() if line.startswith("More experiments"))
    config = Path(found.split(": ")[1])
    assert installed.folder in config.parents
    assert (config / "experiments" / "bccd.yaml").is_file()


def test_the_whole_library_is_installed(installed: Installed) -> None:
    """Templates, style sheets and tables beside the modules too."""
    [library] = installed.folder.glob("lib/python3*/site-packages/mtpd")
    own = {name for name in files_of(PROJECT / "mtpd") if "__pycache__" not in name}
    assert own <= files_of(library)
    assert "project/Snakefile" in files_of(library)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / CONFIG).write_text("experiments: [mine]\n")
    made = write_project(tmp_path)
    assert made.kept == [CONFIG]
    assert {str(path) for path in made.written} == WRITTEN - {str(CONFIG)}
    assert (tmp_path / CONFIG).read_text() == "experiments: [mine]\n"
    again = write_project(tmp_path)
    assert again.written == []
    assert {str(path) for path in again.kept} == WRITTEN


def test_links_are_the_profiles(tmp_path: Path) -> None:
    write_project(tmp_path)
    for name in LINKS:
        found = (tmp_path / name / "config.yaml").read_text()
        assert found == (PROFILES / name / "config.yaml").read_text()


def test_the_template_is_a_valid_experiment() -> None:
    experiment = load_experiment(TEMPLATES / "template.yaml")
    assert set(experiment.runs) == {
        "progressive",
        "direct-same-budget",
        "no-teacher-same-budget",
    }


def test_the_demo_is_planned_by_the_installed_workflow(installed: Installed, project: Path) -> None:
    output = installed.snakemake(project, "--dry-run")
    assert "output: results/demo/detectors/r18_w8/model.pth" in output
    assert "demo        ≤ 37 of 37" in output
    where = call([installed.python, "-c", "import mtpd; print(mtpd.__file__)"], project)
    assert installed.folder in Path(where.strip()).parents
    assert "results/demo: 0 of" in installed.mtpd(project, "status", "demo")


def test_experiments_that_come_with_the_workflow(installed: Installed, project: Path) -> None:
    """Their YAML and their detectors' configs are not in the project."""
    assert "results/pgd_fcos: 0 of" in installed.mtpd(project, "status", "pgd_fcos")
    (project / EXPERIMENTS / "bccd.yaml").write_text("trainin: {}\n")
    with pytest.raises(AssertionError, match=r"config/experiments/bccd\.yaml: trainin: unknown"):
        installed.mtpd(project, "status", "bccd")  # the project's own comes first


@pytest.mark.slow
def test_the_papers_tables_are_planned(installed: Installed, project: Path) -> None:
    output = installed.snakemake(project, "--dry-run", "paper_tables")
    assert "output: results/pgd_fcos/detectors/" in output
    assert "results/paper/tables/" in output


@pytest.mark.slow
def test_identities_are_those_of_the_checkout(installed: Installed, project: Path) -> None:
    """Moving to an installed package makes nothing again."""
    own = json.loads(call([installed.python, "-c", IDENTITIES], project).splitlines()[-1])
    code = [sys.executable, "-c", IDENTITIES]
    checkout = json.loads(call(code, PROJECT, PYTHONPATH=str(PROJECT)).splitlines()[-1])
    assert own == checkout
    assert all(digest for name, (_, digest) in own.items() if name != "r18_w8")


@pytest.mark.slow
def test_an_experiment_runs_to_its_end(installed: Installed, project: Path) -> None:
    """With a detector's config and weights that lie in the installed package only."""
    small = "config/detectors/retinanet_small.py"
    changes: list[tuple[str, Any]] = [
        *((f"{key}.config", small) for key in ("student", "teachers.b", "teachers.c")),
        ("teachers.a.config", "config/detectors/retinanet_r18_w12.py"),
        ("teachers.a.weights", "config/weights/r18_w12.safetensors"),
        ("runs", {"chosen": {"method": "fm", "order": "bgs"}}),
    ]
    (project / EXPERIMENTS / "micro.yaml").write_text(yaml.safe_dump(changed(MICRO, *changes)))
    installed.snakemake(project, "--config", "experiments=micro")
    table = (project / "results" / "micro" / "tables" / "results.md").read_text()
    assert "| chosen" in table
    installed.snakemake(project, "--config", "experiments=micro", "--report", "workflow.html")
    assert "Adaptation costs" in (project / "workflow.html").read_text()
    assert (
        "nothing to be done"
        in installed.snakemake(project, "--config", "experiments=micro", "--dry-run").lower()
    )


def test_the_page_says_what_is_written_and_pinned() -> None:
    page = (PROJECT / "docs" / "install.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([^`]+)`", page.partition("| file |")[2].partition("\n\n")[0]))
    assert named - {"profiles/slurm/config.yaml"} == {
        name for name in WRITTEN if not name.startswith("profiles/")
    } | {"profiles/"}
    pins = [
        line
        for line in (PROJECT / "requirements.txt").read_text().splitlines()
        if line.startswith(("torch==", "torchvision=="))
    ]
    assert page.count(f"pip install {' '.join(pins)} ") == 2
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    rows = re.findall(r"^\| `(\w+)` \|", page.partition("| extra |")[2], re.MULTILINE)
    assert rows == list(extras["optional-dependencies"])
