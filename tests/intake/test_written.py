"""The YAML says what the settings are, and why."""

from __future__ import annotations

import yaml

from mtpd.intake.written import WIDTH, commented_yaml

SETTINGS = {
    "description": "Detectors of yes: no, # and 'quotes'",
    "data": {"root": "1e3", "classes": ["on", "2024", "é", "a, b"], "split": None},
    "training": {"optimizer": {"type": "AdamW", "lr": 0.001}, "decay_at": (0.7, 0.9)},
    "methods": {"cwd": {"losses": [{"type": "cwd", "weight": 10}], "training": {"epochs": 3}}},
    "options": {"part": {"a.very.long.dotted.key.of.a.config." + "x" * 40: None, "b": -1}},
}
REASONS = {
    "training.decay_at": "the rate falls",
    "methods.cwd.losses": "of the necks",
    "methods.cwd.training.epochs": "a reason so long that it cannot stand behind its value " * 2,
}


def test_it_is_read_as_it_was_meant() -> None:
    text = commented_yaml(SETTINGS, REASONS, "Head\nof two lines")
    expected = {**SETTINGS, "training": {**SETTINGS["training"], "decay_at": [0.7, 0.9]}}
    assert yaml.safe_load(text) == expected


def test_reasons_stand_behind_their_values_or_above_them() -> None:
    lines = commented_yaml(SETTINGS, REASONS, "Head\nof two lines").splitlines()
    assert lines[:3] == ["# Head", "# of two lines", ""]
    assert "  decay_at: [0.7, 0.9]  # the rate falls" in lines
    assert "  optimizer: {type: AdamW, lr: 0.001}" in lines
    place = lines.index("    # of the necks")
    assert lines[place + 1 : place + 3] == ["    losses:", "      - {type: cwd, weight: 10}"]
    long = next(line for line in lines if "cannot stand" in line)
    assert long.startswith("      # ")
    assert all(len(line) <= WIDTH for line in lines if "#" not in line)
