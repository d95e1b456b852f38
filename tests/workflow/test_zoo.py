"""Weights from a host, in the workflow: fetched once, before the jobs that have no network."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from host import Host, serving
from micro import SMALL
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from running import Project

from mtpd.data.shapes import SHAPES
from mtpd.files import read_json

pytestmark = pytest.mark.xdist_group("workflow")

RUNS = {"direct": {"method": "fm", "order": ["a"]}, "other": {"method": "fm", "order": ["b"]}}


def put(host: Host, name: str, state: dict[str, Any], **more: Any) -> str:
    """Publish a checkpoint under its hash; gives its address."""
    buffer = io.BytesIO()
    torch.save({"state_dict": state, **more}, buffer)
    content = buffer.getvalue()
    file = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    host.files[file] = content
    return host.url(file)


def published(host: Host) -> dict[str, str]:
    """Addresses of a detector for the data's classes, one for others, and a backbone."""
    init_default_scope("mmdet")
    config = Config.fromfile(SMALL)
    other = MODELS.build(config.model)
    backbone = {f"backbone.{k}": v for k, v in other.backbone.state_dict().items()}
    config.model.bbox_head.num_classes = len(SHAPES)
    own = MODELS.build(config.model)
    return {
        "own": put(host, "own", own.state_dict(), meta={"CLASSES": tuple(SHAPES)}),
        "other": put(host, "other", other.state_dict(), meta={"CLASSES": ("cat",) * 80}),
        "backbone": put(host, "backbone", backbone),
    }


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with serving() as host:
        yield host


@pytest.fixture(scope="module")
def finished(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    urls = published(host)
    host.cut_after = [100_000]
    project = Project(tmp_path_factory.mktemp("zoo"))
    init_cfg = {"type": "Pretrained", "prefix": "backbone.", "checkpoint": urls["backbone"]}
    changes = [
        ("runs", RUNS),
        ("student.options", {"model.backbone.init_cfg": init_cfg}),
        ("teachers.a.weights", urls["own"]),
        ("teachers.b", {"config": SMALL, "start_from": urls["other"]}),
        ("teachers.c", ...),
    ]
    project.write(*changes)
    patch = pytest.MonkeyPatch()
    patch.setenv("MTPD_CACHE", str(project.folder / "cache"))
    project.run("--until", "train")
    yield project
    patch.undo()


def test_every_file_is_fetched_before_the_jobs(finished: Project, host: Host) -> None:
    cached = {p.name for p in (finished.folder / "cache").iterdir() if p.suffix == ".pth"}
    assert cached == set(host.files)
    asked = [path for path, _ in host.requests]
    assert len(asked) == len(host.files) + 1  # one was cut, and went on
    for file in (file for file in cached if not file.startswith("backbone")):
        note = read_json(finished.folder / "results" / "zoo" / f"{file}.json")
        assert note["path"] == str(finished.folder / "cache" / file)


def test_a_training_reads_the_backbone_from_the_cache(finished: Project) -> None:
    folder = finished.results / "detectors" / "student"
    found = read_json(folder / "pretrained.json")
    ((address, file),) = found.items()
    assert file["path"] in (folder / "training.py").read_text()
    assert address in (folder / "config.py").read_text()  # this one is for other machines too
    assert f"local backend from path: {file['path']}" in (folder / "train.log").read_text()


def test_weights_are_taken_over(finished: Project, host: Host) -> None:
    name = next(name for name in host.files if name.startswith("own"))
    given = torch.load(io.BytesIO(host.files[name]), weights_only=True)["state_dict"]
    path = finished.results / "detectors" / "a" / "model.pth"
    taken = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(value, given[key]) for key, value in taken.items())


def test_a_training_starts_from_what_fits(finished: Project) -> None:
    folder = finished.results / "detectors" / "b"
    log = (folder / "train.log").read_text()
    assert "b: left out, being for other classes: bbox_head.retina_cls.weight" in log
    assert f"Load checkpoint from {folder.relative_to(finished.folder)}/start.pth" in log
    assert not (folder / "start.pth").exists()


def test_nothing_trains_again_when_a_file_is_looked_for_again(finished: Project) -> None:
    assert "train a" not in finished.planned("--until", "train")
    jobs = finished.planned("--until", "train", "--forcerun", "fetch", "pretrained")
    assert [job for job in jobs if not job.startswith(("fetch", "pretrained"))] == []
    assert len(jobs) == 3


def test_what_is_in_the_cache_needs_no_host(finished: Project, host: Host) -> None:
    before = list(host.requests)
    finished.run("--until", "pretrained", "--forcerun", "fetch", "pretrained")
    assert host.requests == before
