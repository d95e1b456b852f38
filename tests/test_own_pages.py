"""What docs/own-detector.md and docs/own-loss.md tell people to do works as it stands there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from code_blocks import Block, blocks_of, commands_of
from micro import PROJECT

from mtpd.cli import app
from mtpd.files import read_json

# Executed beside a copy of the package that has the page's changes.
USE_OF_THE_LOSS = """
import sys, torch, yaml
from pydantic import TypeAdapter, ValidationError
from mtpd.detectors.feature_maps import Level
from mtpd.distillation.features import Features
from mtpd.distillation.losses import build_loss
from mtpd.distillation.pairing import Anatomy, pair
from mtpd.settings.experiment import Method
from mtpd.settings.losses import ONE_STAGE

[settings] = Method.model_validate(yaml.safe_load(sys.argv[1])["methods"]["absolute"]).losses
sides = [Anatomy((Level(8, c),), ONE_STAGE, "FCOSHead", 3, c, None) for c in (4, 4, 6)]
student, teacher = torch.rand(2, 4, 3, 5), torch.rand(2, 4, 3, 5)
alike = pair(sides[0], sides[1], names=("student", "teacher"))
found = build_loss(settings, alike)(Features([student]), Features([teacher]), None)
assert abs(float(found) - float((student - teacher).abs().mean())) < 1e-6, found
half = build_loss({"type": "absolute"}, alike)(Features([student]), Features([teacher]), None)
assert abs(float(half) - float(found) / 2) < 1e-6, half
unlike = build_loss(settings, pair(sides[0], sides[2], names=("student", "teacher")))
unlike(Features([student]), Features([torch.rand(2, 6, 3, 5)]), None).backward()
try:
    Method.model_validate({"losses": [{"type": "absolute", "wieght": 1}]})
except ValidationError:
    print("done")
"""


def blocks(page: str) -> list[Block]:
    return list(blocks_of(PROJECT / "docs" / page))


def test_an_own_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = blocks("own-detector.md")
    for block in page:
        if block.title:
            file = tmp_path / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    [shown] = [block for block in page if block.language == "bash"]
    commands = list(commands_of(shown))
    assert commands.pop(0) == ["export", "PYTHONPATH=$PWD"]
    for program, *words in commands:
        assert program == "mtpd"
        app(words, standalone_mode=False)
    pair = read_json(tmp_path / "results/mine/pairs/cwd/r18.json")
    assert pair["strides"] == [8, 16, 32, 64, 128]


def test_an_own_loss(tmp_path: Path) -> None:
    package = tmp_path / "mtpd"
    shutil.copytree(PROJECT / "mtpd", package, ignore=shutil.ignore_patterns("__pycache__"))
    page = blocks("own-loss.md")
    for block in page:
        if block.title:
            _add(tmp_path, block)
    [example] = [block.text for block in page if block.language == "yaml"]
    done = subprocess.run(
        [sys.executable, "-c", USE_OF_THE_LOSS, example],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
    )
    assert done.stdout.endswith("done\n"), done.stderr


PLACES = {
    "before Loss": "Loss = Annotated[",
    "in Loss": "    | ChannelWise\n",
    "among the imports": "from pydantic import TypeAdapter",
    "in LOSSES": "    FeatureMatching: FeatureMatchingLoss,",
}
"""The line before which a block goes, by what its title says."""


def _add(folder: Path, block: Block) -> None:
    name, _, place = block.title.partition(", ")
    file = folder / name
    if not place:
        assert not file.exists()
        file.write_text(block.text, encoding="utf-8")
        return
    text, line = file.read_text(encoding="utf-8"), PLACES[place]
    assert text.count(f"\n{line}") == 1
    file.write_text(text.replace(f"\n{line}", f"\n{block.text}{line}"), encoding="utf-8")
