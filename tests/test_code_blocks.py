"""Every code block of the documentation is checked or executed, or says why it is not."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer.main
from code_blocks import PAGES, PROGRAMS, Block, blocks_of, commands_of
from micro import PROJECT
from pydantic import TypeAdapter

from mtpd.cli import app
from mtpd.estimation.speed import Calibration
from mtpd.settings.experiment import Experiment
from mtpd.settings.reading import read_mapping
from mtpd.settings.runtime import Config

ELSEWHERE = {"README.md": "tests/workflow/test_run.py"}
"""Pages whose Python is what a test does with files of its own."""

BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def of(*languages: str) -> Any:
    """Run a test for every block of these languages that has no mark."""
    chosen = [block for block in BLOCKS if block.language in languages and block.mark is None]
    return pytest.mark.parametrize("block", chosen, ids=str)


def test_there_is_a_check_for_every_language() -> None:
    unknown = [
        f"{block}: {block.language}"
        for block in BLOCKS
        if block.language not in ("bash", "python", "text", "yaml") and block.mark is None
    ]
    assert not unknown, "mark them by <!-- not executed: why -->"


@of("text")
def test_no_command_hides_in_a_text(block: Block) -> None:
    for line in block.text.splitlines():
        assert not re.match(rf"\s*({'|'.join(PROGRAMS)}) ", line), line


@of("python")
def test_python_is_executed_by_a_test_that_names_the_page(block: Block) -> None:
    name = block.page.name
    tests = set(PROJECT.glob("tests/**/test_*.py")) - {Path(__file__)}
    if name in ELSEWHERE:
        assert PROJECT / ELSEWHERE[name] in tests
        return
    naming = [test for test in tests if f'"{name}"' in test.read_text(encoding="utf-8")]
    assert naming, "execute it in a test, or say why not"


@of("yaml")
def test_yaml_is_valid(block: Block, tmp_path: Path) -> None:
    if "{type: absolute" in block.text:
        pytest.skip("the loss that docs/own-loss.md adds; its test reads the block")
    file = tmp_path / "block.yaml"
    file.write_text(block.text, encoding="utf-8")
    read = read_mapping(file, "give a mapping")
    if "measurements" in read:
        assert Calibration.load(file).measurements
        return
    for key, value in read.items():
        settings = Experiment if key in Experiment.model_fields else Config
        field = settings.model_fields[key]
        TypeAdapter(Annotated[field.annotation, field]).validate_python(value)


@of("bash")
def test_commands_exist_with_these_options(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    for words in commands_of(block):
        program = words[0].rpartition("/")[2]
        assert program in CHECKS, f"mark the block by <!-- not executed: why -->: {words}"
        CHECKS[program](words[1:])


WITHOUT_DATA = ("bccd", "mine", "--unlock", "--report", "gpu")
"""Words of lines that need data, results, or a GPU."""

PLANS = {
    tuple(words[1:]): None
    for block in BLOCKS
    if block.language == "bash" and block.mark is None
    for words in commands_of(block)
    if words[0] == "snakemake" and not any(part in " ".join(words) for part in WITHOUT_DATA)
}


@pytest.mark.slow
@pytest.mark.parametrize("words", PLANS, ids=" ".join)
def test_snakemake_plans_what_the_lines_ask_for(words: tuple[str, ...], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "snakemake", *words, "--dry-run", "--directory", tmp_path]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "jobs left" in done.stdout + done.stderr


def _mtpd(words: list[str]) -> None:
    """The command is there, and takes these arguments and options."""
    command, path = typer.main.get_command(app), "mtpd"
    while hasattr(command, "commands"):
        name, *words = words
        command, path = command.commands[name], f"{path} {name}"
    command.make_context(path, [word for word in words if word != "…"])


def _make(words: list[str]) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        assert "=" in word or re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE), word


def _snakemake(words: list[str]) -> None:
    """Snakemake knows the options, and the project the profile, the rules and the experiments."""
    from snakemake.cli import parse_args

    _, arguments = parse_args(words)
    for profile in arguments.profile or ():
        assert (PROJECT / profile / "config.yaml").is_file(), profile
    for target in arguments.targets or ():
        assert _is_rule(target) or target.startswith("results/"), target
    for setting in arguments.config or ():
        assert setting.partition("=")[0] in Config.model_fields, setting


def _is_rule(name: str) -> bool:
    files = [PROJECT / "Snakefile", *(PROJECT / "workflow" / "rules").glob("*.smk")]
    rule = re.compile(rf"^(rule|checkpoint) {re.escape(name)}:", re.MULTILINE)
    return any(rule.search(file.read_text(encoding="utf-8")) for file in files)


def _python(words: list[str]) -> None:
    if words and words[0] == "-m":
        assert importlib.util.find_spec(words[1]), words[1]


def _pip(words: list[str]) -> None:
    for option, value in pairwise(words):
        if option in ("-c", "-r"):
            assert (PROJECT / value).is_file(), value


def _of_the_reader(words: list[str]) -> None:
    """It is about the reader's own files."""
    assert words


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "mtpd": _mtpd,
    "make": _make,
    "snakemake": _snakemake,
    "python": _python,
    "python3": _python,
    "pip": _pip,
    "cat": _of_the_reader,
    "cd": _of_the_reader,
    "mkdir": _of_the_reader,
    "ln": _of_the_reader,
    "export": _of_the_reader,
}
