"""``mtpd zoo`` on the command line."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from host import serving

from mtpd.files import read_json

RETINANET = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"


@pytest.fixture
def mtpd(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in a folder of its own, with its own cache."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MTPD_CACHE": str(tmp_path / "cache")}
        environment.pop("MTPD_WORKFLOW", None)
        command = [sys.executable, "-m", "mtpd.cli", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
        )

    return run


def test_search_shows_config_figures_and_file(mtpd: Any) -> None:
    done = mtpd("zoo", "search", "retinanet_r50_fpn", "--min-box-ap", "37")
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["config", "box", "AP"]
    assert "mmdet::retinanet/retinanet_r50_fpn_2x_coco.py" in done.stdout
    assert "retinanet_r50_fpn_2x_coco_20200131-fdb43119.pth" in done.stdout
    assert RETINANET not in done.stdout  # 36.5


def test_list_has_all_of_them_and_says_what_was_wrong(mtpd: Any) -> None:
    done = mtpd("zoo", "list")
    assert len(done.stdout.splitlines()) > 500
    assert "20 entries are mended or left out" in done.stderr
    assert len(mtpd("zoo", "list", "--problems").stdout.splitlines()) == 20


def test_show(mtpd: Any, tmp_path: Path) -> None:
    done = mtpd("zoo", "show", RETINANET)
    assert "c2398f9e" in done.stdout
    assert f"no (would be {tmp_path / 'cache'}" in done.stdout


def test_fetch_an_address_and_note_it(mtpd: Any, tmp_path: Path) -> None:
    content = b"some weights"
    file = f"model-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    with serving() as host:
        host.files[file] = content
        done = mtpd("zoo", "fetch", host.url(file), "--note", "note.json")
    path = tmp_path / "cache" / file
    assert done.stdout.strip() == str(path)
    assert path.read_bytes() == content
    note = read_json(tmp_path / "note.json")
    assert note["path"] == str(path)
    assert note["sha256"] == hashlib.sha256(content).hexdigest()


def test_fetch_what_an_experiment_needs(
    mtpd: Any, tmp_path: Path, write_experiment: Callable[..., Path]
) -> None:
    with serving() as host:
        host.files = {"model.pth": b"weights", "backbone.pth": b"backbone"}
        init_cfg = {"type": "Pretrained", "checkpoint": host.url("backbone.pth")}
        experiment = write_experiment(
            ("teachers.a.weights", host.url("model.pth")),
            ("teachers.a.options", {"model.backbone.init_cfg": init_cfg}),
            ("teachers.c.options", {"model.backbone.init_cfg": init_cfg}),
        )
        done = mtpd("zoo", "fetch", str(experiment))
    found = {Path(line).name.partition("_")[2] for line in done.stdout.splitlines()}
    assert found == {"model.pth", "backbone.pth"}
    assert [path for path, _ in host.requests] == ["model.pth", "backbone.pth"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "mmdet::no.py"], "is not in MMDetection's metafiles"),
        (["search", "no such detector"], "nothing fits"),
        (["fetch", "mmdet::no.py"], "is not in MMDetection's metafiles"),
        (["fetch", "no.yaml"], "cannot be read"),
        (["fetch", "http://127.0.0.1:1/a-0123abcd.pth"], "the host refuses the connection"),
        (["fetch", RETINANET, RETINANET.replace("1x", "2x"), "--note", "n"], "but 2 are named"),
    ],
)
def test_what_cannot_be_is_one_line(
    mtpd: Any, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("zoo: {}")
    done = mtpd("zoo", *arguments)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last
    assert "Traceback" not in done.stderr
