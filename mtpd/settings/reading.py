"""Reading YAML files, and saying in one line what is wrong with one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mtpd.errors import UserError
from mtpd.files import read_text
from mtpd.settings.values import SettingError, WrittenFloat, WrittenInt

_YAML = "tag:yaml.org,2002:"
_NO_KEYS = [f"{_YAML}{kind}" for kind in ("bool", "int", "float", "null")]


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, with some habits of YAML 1.1 mended.

    A key that stands twice in one mapping is an error, and ``1e-3`` is a number. Keys and dates
    are text, and numbers keep theirs.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.value in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key_node.value}' stands twice", key_node.start_mark
                )
            if isinstance(key_node, yaml.ScalarNode):
                seen.add(key_node.value)
        self.flatten_mapping(node)
        for key_node, _ in node.value:
            if key_node.tag in _NO_KEYS:
                key_node.tag = f"{_YAML}str"
        return super().construct_mapping(node, deep)


def _written_int(loader: _Loader, node: yaml.ScalarNode) -> WrittenInt:
    number = WrittenInt(loader.construct_yaml_int(node))
    number.text = node.value
    return number


def _written_float(loader: _Loader, node: yaml.ScalarNode) -> WrittenFloat:
    number = WrittenFloat(loader.construct_yaml_float(node))
    number.text = node.value
    return number


_Loader.add_implicit_resolver(
    f"{_YAML}float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)
_Loader.add_constructor(f"{_YAML}int", _written_int)
_Loader.add_constructor(f"{_YAML}float", _written_float)
_Loader.add_constructor(f"{_YAML}timestamp", lambda _, node: node.value)


def read_mapping(path: Path, content: str, absent: str = "put one there") -> dict[str, Any]:
    """Parse the YAML file ``path``, a mapping.

    Args:
        path: Of the file.
        content: The remedy where it holds something else.
        absent: The remedy where it cannot be read.

    Raises:
        UserError: It cannot be read, is not YAML, or is not a mapping.
    """
    try:
        raw = yaml.load(read_text(path, absent), Loader=_Loader)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise UserError(path, f"is not YAML ({error})", "correct the file") from error
    if not isinstance(raw, dict):
        raise UserError(path, "is not a mapping of keys to values", content)
    return raw


def explain(path: object, errors: ValidationError) -> tuple[str, str, str]:
    """Where in the file ``path``, problem and remedy of the error to name first."""
    # A misspelt key is also a missing one: what stands in the file is named first.
    error = min(errors.errors(), key=lambda item: item["type"] != "extra_forbidden")
    key, problem, remedy = _explain(error)
    return f"{path}: {key}" if key else str(path), problem, remedy


def _explain(error: ErrorDetails) -> tuple[str, str, str]:
    """Key, problem and remedy of one of pydantic's errors."""
    keys, context = _keys(error["loc"]), error.get("ctx", {})
    said = context.get("error")
    if isinstance(said, SettingError):
        return ".".join([*keys, *filter(None, [said.key])]), said.problem, said.remedy
    message = error["msg"].removeprefix("Value error, ")
    remedies = {
        "extra_forbidden": "remove it, or correct its spelling",
        "missing": "add it",
        "union_tag_invalid": f"use one of: {context.get('expected_tags', '')}",
        "union_tag_not_found": "say which kind it is",
        "string_pattern_mismatch": f"it must match {context.get('pattern', '')}",
    }
    problem = {"extra_forbidden": "unknown key", "missing": "key is missing"}.get(
        error["type"], f"{message[:1].lower()}{message[1:]} (is {error['input']!r:.60})"
    )
    return ".".join(keys), problem, remedies.get(error["type"], "give a valid value")


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys of the file in pydantic's location, which names kinds of data and loss as well."""
    keys = [str(part) for part in location if part != "[key]"]
    sources = ("shapes", "coco", "voc", "yolo", "argoverse_hd", "crowdhuman")
    if keys[:1] == ["data"] and len(keys) > 1 and keys[1] in sources:
        del keys[1]
    if keys[:1] == ["figures"] and len(keys) > 3:
        del keys[2]  # figures.<name>.<kind>.<key>
    if "losses" in keys and len(keys) > keys.index("losses") + 2:
        del keys[keys.index("losses") + 2]  # methods.<name>.losses.<number>.<type>.<key>
    return keys
