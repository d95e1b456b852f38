"""The code blocks of the documentation's pages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from micro import PROJECT

PAGES = sorted([PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *PROJECT.glob("docs/**/*.md")])
SAME = {"sh": "bash", "shell": "bash", "py": "python", "yml": "yaml"}
PROGRAMS = ("mtpd", "snakemake", "make", "python", "python3", "pip", "conda", "mkdir", "ln")

FENCE = re.compile(r"^```(\w*)\s*(.*)$")
MARK = re.compile(r"^<!-- not executed: (.+) -->$")


@dataclass(frozen=True)
class Block:
    """One code block.

    Attributes:
        page: The page's path.
        line: Number of its first line.
        language: As its fence says; ``bash`` or ``text`` where nothing says.
        title: As its fence says, or empty.
        text: What stands in it.
        mark: Why it is not executed, as the comment before it says; None without one.
    """

    page: Path
    line: int
    language: str
    title: str
    text: str
    mark: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """The page's blocks, fenced and indented, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number, before = 0, ""
    while number < len(lines):
        line = lines[number]
        fence = FENCE.match(line)
        if fence:
            end = lines.index("```", number + 1)
            yield _block(page, number + 2, fence, lines[number + 1 : end], before)
        elif line.startswith("    ") and (number == 0 or not lines[number - 1].strip()):
            end = number
            while end + 1 < len(lines) and (
                lines[end + 1].startswith("    ") or not lines[end + 1]
            ):
                end += 1
            own = [text[4:] for text in lines[number : end + 1]]
            yield _block(page, number + 1, None, own, before)
        else:
            end = number
        before = lines[end].strip() or before
        number = end + 1


def commands_of(block: Block) -> Iterator[list[str]]:
    """The commands of a block, each as its words, without what is set before them."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word != "&&":
                words.append(word)
                continue
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words:
                yield words
            words = []


def _block(
    page: Path, line: int, fence: re.Match[str] | None, lines: list[str], before: str
) -> Block:
    text = "\n".join(lines).rstrip() + "\n"
    language = SAME.get(fence[1], fence[1]) if fence else ""
    title = re.search(r'title="([^"]+)"', fence[2]) if fence else None
    mark = MARK.match(before)
    return Block(
        page=page,
        line=line,
        language=language or _language(text),
        title=title[1] if title else "",
        text=text,
        mark=mark[1] if mark else None,
    )


def _language(text: str) -> str:
    words = text.split()
    first = words[0].rpartition("/")[2] if words else ""
    if re.fullmatch(r"[A-Z_]+=\S+", first):
        first = words[1]
    return "bash" if first in PROGRAMS else "text"
