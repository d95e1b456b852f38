"""The page of commands: arguments and options of every ``mtpd`` command, from the commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.main

from mtpd.cli import app
from reference.markdown import WRITTEN, table

INTRODUCTION = f"""{WRITTEN}
# Commands

Every `mtpd` command with its arguments and options, as `mtpd COMMAND --help` shows them. The exit
status is 0 if all is well, 1 after an error (one line on standard error), and 75 if a job was told
to end and can go on later.

An *experiment* is named by its YAML file, or by its name: `demo` is `config/experiments/demo.yaml`.
"""


def commands_page() -> str:
    """The page, as Markdown."""
    sections = [_section(path, command) for path, command in all_commands()]
    return "\n".join([INTRODUCTION, *sections])


def all_commands() -> Iterator[tuple[str, Any]]:
    """Path, such as ``mtpd data check``, and command of every command that does something."""
    yield from _walk("mtpd", typer.main.get_command(app))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    parts = getattr(command, "commands", None)
    if parts is None:
        yield path, command
        return
    for name, part in parts.items():
        yield from _walk(f"{path} {name}", part)


def _section(path: str, command: Any) -> str:
    context = command.make_context(path, [], resilient_parsing=True)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in parameter.opts:
            rows.append((f"`{record[0].strip()}`", _said(record[1])))
    options = f"\n{table(('argument or option', 'what it is'), rows)}" if rows else ""
    return f"## {path}\n\n`{usage}`\n\n{_text(command.help)}\n{options}"


def _text(help_text: str | None) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (help_text or "").split("\n\n"))


def _said(text: str) -> str:
    """The help of one parameter; its bounds and default in words."""
    words = re.sub(r"\[default: \((.*)\)\]", r"(default: \1)", text.strip())
    words = re.sub(r"\[([^\[\]]*)\]$", r"(\1)", words)
    return re.sub(r"x>=(\d+)", r"at least \1", words)
