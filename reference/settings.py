"""The page of settings: every key of an experiment and of config/config.yaml, from their types."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from mtpd.settings.experiment import Experiment
from mtpd.settings.runtime import Config
from reference.markdown import WRITTEN, anchor, plain, table

Schema = dict[str, Any]
Headings = dict[str, str]
"""Heading of every model that has a section, by the name of its class."""

INTRODUCTION = f"""{WRITTEN}
# Settings

Every key that a YAML file may have, from the types that check it. A key that is not listed here is
refused before anything runs. `mtpd schema` prints the same as a JSON schema; for your editor it is
in `workflow/schemas/experiment.schema.json`.

*None* as a default means that the key may be left out; the description says what holds then. *See
there* means the defaults of the part that the type names.
"""

EXPERIMENT = """## An experiment

One YAML file in `config/experiments/`. These are the keys at its top level; a type that is a link
has keys of its own.
"""

CONFIG = """## config/config.yaml

Snakemake and every `mtpd` command read this file in the folder where they are called.
"""

BOUNDS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
}
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
}


def settings_page() -> str:
    """The page, as Markdown."""
    parts = [INTRODUCTION, *_sections(Experiment, EXPERIMENT), *_sections(Config, CONFIG)]
    return "\n".join(parts)


def _sections(model: type[BaseModel], opening: str) -> list[str]:
    """One section for the model, and one for every model below it, in the order of their use."""
    root = model.model_json_schema()
    definitions: dict[str, Schema] = root.get("$defs", {})
    headings = _below(root, definitions)
    sections = [f"{opening}\n{_keys(root, headings)}"]
    for name, words in headings.items():
        schema = definitions[name]
        text = plain(schema.get("description"))
        sections.append(f"### {words}\n\n{text}\n\n{_keys(schema, headings)}")
    return sections


def heading(name: str, schema: Schema) -> str:
    """A model's heading: its kind, where one key names it, or its class's name in words."""
    for key in ("source", "type"):
        kind = schema.get("properties", {}).get(key, {}).get("const")
        if kind:
            return f"{key}: {kind}"
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return words[:1].upper() + words[1:]


def _below(root: Schema, definitions: dict[str, Schema]) -> Headings:
    found: dict[str, None] = {}

    def visit(part: Any) -> None:
        if isinstance(part, dict):
            name = _name(part)
            if name is not None and name not in found:
                found[name] = None
                visit(definitions[name].get("properties"))
            for key, value in part.items():
                if key != "$defs":
                    visit(value)
        elif isinstance(part, list):
            for value in part:
                visit(value)

    visit(root["properties"])
    return {name: heading(name, definitions[name]) for name in found}


def _keys(schema: Schema, headings: Headings) -> str:
    required = schema.get("required", [])
    rows = [
        (
            f"`{key}`",
            type_in_words(value, headings),
            "**required**" if key in required else _default(value),
            value.get("description", ""),
        )
        for key, value in schema["properties"].items()
    ]
    return table(("key", "type", "default", "what it is"), rows)


def type_in_words(schema: Schema, headings: Headings) -> str:
    """What may stand there, for a reader."""
    name = _name(schema)
    if name is not None:
        return f"[{headings[name]}](#{anchor(headings[name])})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            kinds = [part for part in schema[key] if part.get("type") != "null"]
            return " or ".join(dict.fromkeys(type_in_words(part, headings) for part in kinds))
    return _simple(schema, headings)


def _simple(schema: Schema, headings: Headings) -> str:
    kind = schema.get("type", "anything")
    if kind == "array":
        return _array(schema, headings)
    if kind == "object":
        return _mapping(schema, headings)
    words = "path" if schema.get("format") == "path" else TYPES.get(kind, kind)
    bounds = [f"{sign} {schema[key]}" for key, sign in BOUNDS.items() if key in schema]
    if "pattern" in schema:
        bounds.append(f"like `{schema['pattern']}`")
    return f"{words} {' and '.join(bounds)}".strip()


def _mapping(schema: Schema, headings: Headings) -> str:
    values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    named = [value for value in values if isinstance(value, dict)]
    return f"a name for each: {type_in_words(named[0], headings)}" if named else "mapping"


def _array(schema: Schema, headings: Headings) -> str:
    if "prefixItems" in schema:
        return f"[{'; '.join(type_in_words(part, headings) for part in schema['prefixItems'])}]"
    return f"list of {type_in_words(schema.get('items', {}), headings)}"


def _default(schema: Schema) -> str:
    if "default" in schema:
        value = schema["default"]
        if value is None:
            return "*none*"
        return "see there" if isinstance(value, dict) else f"`{_yaml(value)}`"
    if any(part.get("const") == "auto" for part in schema.get("anyOf", [])):
        return "`auto`"
    return "see there" if _name(schema) else "*empty*"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_yaml(part) for part in value)}]"
    return '""' if value == "" else str(value)


def _name(schema: Schema) -> str | None:
    reference = schema.get("$ref")
    return reference.rpartition("/")[2] if isinstance(reference, str) else None
