"""The documentation's site: what it lists, what it is made from, and that it fetches nothing."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import PROJECT

from reference.commands import all_commands
from reference.errors import Texts, messages
from reference.markdown import anchor
from reference.pages import FOLDER, PAGES

DOCS = PROJECT / "docs"
SITE = yaml.safe_load((PROJECT / "mkdocs.yml").read_text(encoding="utf-8"))


def listed(part: Any) -> Iterator[str]:
    """The pages that the navigation names."""
    if isinstance(part, str):
        yield part
    else:
        for value in part.values() if isinstance(part, dict) else part:
            yield from listed(value)


def test_the_navigation_lists_every_page_once() -> None:
    pages = sorted(file.relative_to(DOCS).as_posix() for file in DOCS.glob("**/*.md"))
    assert sorted(listed(SITE["nav"])) == pages


@pytest.mark.parametrize("page", sorted(DOCS.glob("**/*.md")), ids=lambda p: p.name)
def test_links_stay_in_the_site_and_lead_to_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, heading in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", text):
        file = (page.parent / target).resolve() if target else page
        assert file.is_relative_to(DOCS), target
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [anchor(words) for words in headings], f"{target}#{heading}"


def test_the_site_is_built_and_asks_no_other_machine(tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(PROJECT / "mkdocs.yml", tmp_path)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list((tmp_path / "site").glob("**/*.html"))
    assert len(pages) == len(list(DOCS.glob("**/*.md"))) + 1  # one says that a page is not there
    for page in pages:
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)[^>]*src=[\"']?(?:https?:)?//[^>]*>", text)
        fetched += re.findall(r"<link[^>]*stylesheet[^>]*href=[\"']?(?:https?:)?//[^>]*>", text)
        assert not fetched, page


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_code_gives(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run `make reference`"


def test_every_command_has_a_help_and_so_has_every_option() -> None:
    for path, command in all_commands():
        assert command.help, path
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{path}: {parameter.name}"


def test_every_message_says_what_is_wrong_and_what_would_be_right() -> None:
    found = list(messages(PROJECT))
    assert len(found) > 150
    for message in found:
        place = f"{message.file}:{message.line}"
        assert all(message.problem), place
        assert all(message.remedy), place
        assert not any(text.rstrip().endswith(".") for text in message.remedy), place


def test_messages_are_read_from_names_conditions_and_functions() -> None:
    module = ast.parse(
        "HINT = 'of the module'\n"
        "def words(n):\n"
        "    return f'{n} words'\n"
        "def f(path, k):\n"
        "    text = 'first'\n"
        "    again = 'once' if k else 'twice'\n"
        "    again = f'{again}!' if k else again\n"
        "    text, other = f'{path} is {k}', 'b' if k else 'c'\n"
        "    use(text, other, HINT, words(k), text + other, unknown, [k for k in text], again)\n"
    )
    function = module.body[2]
    assert isinstance(function, ast.FunctionDef)
    call = function.body[-1].value  # type: ignore[attr-defined]
    texts = Texts(module, (function,))
    assert [texts.of(argument, call.lineno) for argument in call.args] == [
        ["{path} is {k}"],
        ["b", "c"],
        ["of the module"],
        ["{n} words"],
        ["{path} is {k}b", "{path} is {k}c"],
        ["{unknown}"],
        ["{[k for k in text]}"],
        ["{again}!", "once", "twice"],
    ]


def test_the_faq_quotes_messages_that_there_are() -> None:
    page = (DOCS / "faq.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^### `(.+)`$", page, re.MULTILINE)
    assert len(quoted) > 25
    lines = [
        f"{problem}; {remedy}"
        for message in messages(PROJECT)
        for problem in message.problem
        for remedy in message.remedy
    ]
    lines += ["unknown key", "key is missing"]  # of pydantic's errors
    for words in quoted:
        parts = words.split("…")
        assert any(all(part in line for part in parts) for line in lines), words
