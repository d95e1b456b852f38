"""The documentation says what the code does."""

from __future__ import annotations

import re

import pytest
import yaml
from micro import PROJECT
from pydantic import TypeAdapter

from mtpd.settings.data import CrowdHumanData, Data
from mtpd.settings.experiment import Method, Student
from mtpd.settings.losses import PredictionGuided

DATA = (PROJECT / "docs" / "data.md").read_text(encoding="utf-8")
MECHANISMS = (PROJECT / "docs" / "mechanisms.md").read_text(encoding="utf-8")
SCHEMA = TypeAdapter(Method).json_schema()


def test_the_example_of_methods_is_valid() -> None:
    block = re.search(r"```yaml\n(.*?)```", MECHANISMS, re.DOTALL)
    assert block is not None
    methods = yaml.safe_load(block[1])["methods"]
    checked = {name: Method.model_validate(method) for name, method in methods.items()}
    assert [loss.type for loss in checked["focal-and-guided"].losses] == ["fgd", "pgd"]


def test_the_examples_of_data_are_valid() -> None:
    examples = [
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", DATA, re.DOTALL)
    ]
    sources = [TypeAdapter(Data).validate_python(e["data"]).source for e in examples if "data" in e]
    assert sources == ["coco", "crowdhuman", "argoverse_hd"]
    [student] = [Student.model_validate(e["student"]) for e in examples if "student" in e]
    assert student.latency_ms is not None


@pytest.mark.parametrize(
    "name", SCHEMA["properties"]["losses"]["items"]["discriminator"]["mapping"]
)
def test_every_loss_and_setting_is_named(name: str) -> None:
    assert f"| `{name}` |" in MECHANISMS
    reference = SCHEMA["properties"]["losses"]["items"]["discriminator"]["mapping"][name]
    settings = SCHEMA["$defs"][reference.rpartition("/")[2]]["properties"]
    assert all(f"`{key}`" in MECHANISMS for key in settings if key != "type")


def test_published_values_of_every_head() -> None:
    rows = [line.split("|")[1:-1] for line in MECHANISMS.splitlines() if line.startswith("| ")]
    table = {row[0].strip(): row[1:] for row in rows}
    for head, values in PredictionGuided.published.items():
        cells = table[head.removesuffix("Head")]
        assert float(cells[0].split()[0]) == values["alpha"]
        assert float(cells[1]) == values["temperature"]
        assert int(cells[2]) == values["positions"]


def test_the_example_of_crowdhuman_is_valid_and_has_the_defaults() -> None:
    page = (PROJECT / "docs" / "data.md").read_text(encoding="utf-8")
    block = re.search(r"## CrowdHuman.*?```yaml\n(.*?)```", page, re.DOTALL)
    assert block is not None
    data = yaml.safe_load(block[1])["data"]
    assert CrowdHumanData(**data) == CrowdHumanData(source="crowdhuman", root=data["root"])


@pytest.mark.parametrize("page", sorted((PROJECT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(page) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
