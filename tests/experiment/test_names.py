"""Names, hashes and paths as people write them: they work, or one line says what to do."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from micro import SMALL

from mtpd.errors import UserError
from mtpd.experiment.load import load_experiment
from mtpd.settings.data import VocData
from mtpd.settings.experiment import Experiment

TEXT = """
data: {data}
training: {{epochs: 1}}
student: {{name: {student}, config: {small}}}
teachers:
  {teacher}: {{config: {small}{keys}}}
methods: {{{method}: {{losses: [{{type: feature_matching}}]}}}}
runs: {{{run}: {{method: {used}, order: {order}}}}}
"""
PARTS = {
    "data": "{source: shapes, train: 4, val: 2, size: 64}",
    "student": "student",
    "small": SMALL,
    "teacher": "a",
    "keys": "",
    "method": "fm",
    "run": "direct",
    "used": "fm",
    "order": "[a]",
}


def load(folder: Path, name: str = "names", **parts: str) -> Experiment:
    path = folder / f"{name}.yaml"
    path.write_text(TEXT.format_map({**PARTS, **parts}))
    return load_experiment(path)


def line_of(folder: Path, **parts: str) -> str:
    """What is said of the experiment, without its path."""
    with pytest.raises(UserError) as caught:
        load(folder, **parts)
    line = str(caught.value)
    assert line.startswith(f"{folder}/names.yaml: ")
    assert "\n" not in line
    assert caught.value.remedy
    return line.removeprefix(f"{folder}/names.yaml: ")


NUMBERS = ["1", "2024", "007", "1e3", "0x1f", "1_000", "1:30", "1.5", "2024-01-01"]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_name_that_yaml_reads_as_a_number_is_text(tmp_path: Path, name: str) -> None:
    if ":" in name:
        data = f"{{source: voc, root: d, classes: [{name}], train: {name}, test: {name}}}"
        voc = load(tmp_path, data=data).data
        assert isinstance(voc, VocData)
        assert (voc.classes, voc.train, voc.test) == ((name,), name, name)
        return
    found = load(
        tmp_path, name, teacher=name, order=f"[{name}]", method=name, used=name, run=name,
        data=f"{{source: voc, root: {name}, classes: [{name}, b], train: {name}}}",
    )  # fmt: skip
    assert list(found.teachers) == list(found.methods) == list(found.runs) == [name]
    assert found.runs[name].order == (name,)
    assert found.runs[name].method == name
    assert isinstance(found.data, VocData)
    assert found.data.classes == (name, "b")
    assert found.data.train == name
    assert found.data.root == Path(name)


def test_a_student_that_is_a_number(tmp_path: Path) -> None:
    assert load(tmp_path, student="50").student.name == "50"


@pytest.mark.parametrize("name", ["no", "on", "yes", "off", "true", "null"])
def test_a_key_is_text(tmp_path: Path, name: str) -> None:
    quoted = f"'{name}'"
    found = load(tmp_path, teacher=name, order=f"[{quoted}]", method=name, used=quoted, run=name)
    assert list(found.teachers) == list(found.methods) == list(found.runs) == [name]


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        ({"order": "[on]"}, "runs.direct.order.0"),
        ({"order": "on"}, "runs.direct.order"),
        ({"used": "yes"}, "runs.direct.method"),
        ({"student": "true"}, "student.name"),
        ({"data": "{source: voc, root: d, classes: [a, 1, on]}"}, "data.classes.2"),
        ({"data": "{source: voc, root: d, train: on}"}, "data.train"),
        ({"data": "{source: voc, root: on}"}, "data.root"),
        ({"keys": ", weights: on"}, "teachers.a.weights"),
        ({"keys": ", sha256: on"}, "teachers.a.sha256"),
    ],
)
def test_a_truth_value_where_text_is_wanted_is_to_be_quoted(
    tmp_path: Path, parts: dict[str, str], key: str
) -> None:
    assert line_of(tmp_path, **parts) == (
        f"{key}: yes, on and true without quotes are true in YAML, not text; put it in quotes"
    )


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"order": "no"}, "runs.direct.order: no, off and false without quotes are false in YAML"),
        ({"order": "[1]"}, "runs.direct.order: there is no teacher '1'; use one of: a"),
        (
            {"order": "1"},
            "runs.direct.order: there is no order '1'; use one of: bgs, bgs-between, direct, ",
        ),
        ({"order": "~"}, "runs.direct.order: is empty; use one of: bgs, bgs-between, direct, "),
        ({"order": "[~]"}, "runs.direct.order: has an item that is not a name"),
        ({"order": "{a: b}"}, "runs.direct.order: there is no order '{'a': 'b'}'"),
        ({"order": "['a|b']"}, "runs.direct.order: there is no teacher 'a|b'; use one of: a"),
        ({"method": "'fm|x'"}, "methods.fm|x: string should match pattern"),
        ({"method": "'fm|x|y'"}, "methods.fm|x|y: string should match pattern"),
        ({"used": "'fm|x'"}, "runs.direct.method: there is no method 'fm|x'; use one of: fm"),
        ({"used": "'fm|x|y'"}, "runs.direct.method: there is no method 'fm|x|y'; use one of: fm"),
        ({"run": "'a|b'"}, "runs.a|b: string should match pattern"),
        ({"run": "'a|b|c'"}, "runs.a|b|c: string should match pattern"),
        ({"teacher": "none"}, "teachers.none: 'none' is reserved for stages without teacher"),
    ],
)
def test_what_is_no_name_is_one_line(tmp_path: Path, parts: dict[str, str], words: str) -> None:
    assert line_of(tmp_path, **parts).startswith(words)


@pytest.mark.parametrize("text", ["0x", "0b_", "!!int x", "9" * 5000, "{a: 1}: 2", "!!binary x"])
def test_numbers_that_yaml_cannot_read_are_one_line(tmp_path: Path, text: str) -> None:
    line_of(tmp_path, keys=f", latency_ms: {text}")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("8e864411", "8e864411"),
        ("12345e67", "12345e67"),
        ("17235656", "17235656"),
        ("01234567", "01234567"),
        ("8EABCDEF", "8eabcdef"),
        ("'8E864411'", "8e864411"),
    ],
)
def test_a_hash_is_text(tmp_path: Path, written: str, kept: str) -> None:
    weights = tmp_path / "w.pth"
    weights.touch()
    found = load(tmp_path, keys=f", weights: {weights}, sha256: {written}")
    assert found.teachers["a"].sha256 == kept


@pytest.mark.parametrize("written", ["1234567", "1_7235656", "1.5e12345", "xyz", "8e86441g"])
def test_what_is_no_hash_is_one_line(tmp_path: Path, written: str) -> None:
    line = line_of(tmp_path, keys=f", weights: w.pth, sha256: {written}")
    assert line.startswith("teachers.a.sha256: string should match pattern")
    assert f"(is '{written}')" in line


def test_numbers_stay_numbers_where_they_are_handed_on(tmp_path: Path) -> None:
    found = load(tmp_path, keys=", options: {model.x: [1, {y: 2.5, z: 1e-3}], w: off}")
    options = found.teachers["a"].options
    assert options == {"model.x": [1, {"y": 2.5, "z": 0.001}], "w": False}
    assert type(options["model.x"][0]) is int
    assert type(options["model.x"][1]["y"]) is float
    assert options["w"] is False


def test_the_home_folder_is_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "w.pth").write_bytes(b"x")
    (tmp_path / "det.py").write_text(Path(SMALL).read_text())
    split = "{annotations: ~/train.json, images: ~/train}"
    found = load(
        tmp_path,
        data=f"{{source: coco, root: ~/data, train: {split}, val: {split}}}",
        keys=f", weights: ~/w.pth, sha256: {hashlib.sha256(b'x').hexdigest()}",
        small="~/det.py",
    )
    assert found.data.root == tmp_path / "data"  # type: ignore[union-attr]
    assert found.data.train.annotations == tmp_path / "train.json"  # type: ignore[union-attr]
    assert found.data.train.images == tmp_path / "train"  # type: ignore[union-attr]
    assert found.teachers["a"].weights == str(tmp_path / "w.pth")
    assert found.student.config == str(tmp_path / "det.py")
    start = load(tmp_path, keys=", start_from: ~/w.pth")
    assert start.teachers["a"].start_from == str(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "data",
    [
        "{source: crowdhuman, root: d, train: ~/t.odgt, val: ~/v.odgt, images: [~/i]}",
        "{source: argoverse_hd, root: d, train: ~/t, val: ~/v, test: ~/e, images: ~/i}",
    ],
)
def test_the_home_folder_in_every_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert "~" not in load(tmp_path, data=data).data.model_dump_json()


def test_addresses_and_relative_paths_stay_as_they_are(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        keys=", weights: https://a.example/~me/w.pth",
        data="{source: voc, root: data/~voc}",
    )
    assert found.teachers["a"].weights == "https://a.example/~me/w.pth"
    assert found.data.root == Path("data/~voc")  # type: ignore[union-attr]
