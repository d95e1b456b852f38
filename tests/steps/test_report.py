"""The report step: it says what is there, what is not, and the same twice."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from PIL import Image
from report_case import ReportCase

from mtpd.detectors.weights import load_weights
from mtpd.digests import Digests
from mtpd.errors import UserError
from mtpd.experiment.changes import Changes
from mtpd.experiment.making import make
from mtpd.experiment.recipes import Recipes, Task
from mtpd.files import read_json, write_json
from mtpd.reporting.page.content import Model
from mtpd.settings.experiment import Training
from mtpd.settings.runtime import Zoo
from mtpd.steps import report_maps
from mtpd.steps.context import Context
from mtpd.steps.order import write_order
from mtpd.steps.report import write_report
from mtpd.steps.report_detections import Detections
from mtpd.steps.report_maps import likeness
from mtpd.store import Store

pytestmark = pytest.mark.xdist_group("report")


@pytest.fixture
def copied(reported: ReportCase, tmp_path: Path) -> Context:
    """The whole results in a place of their own, to be changed."""
    shutil.copytree(reported.layout.results, tmp_path / "results")
    shutil.copy(reported.layout.results.parent / "micro.yaml", tmp_path / "micro.yaml")
    return Context.open(tmp_path / "micro.yaml", tmp_path / "results")


@pytest.fixture
def without_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model runs."""
    monkeypatch.setattr("mtpd.steps.report.feature_maps", lambda *_: None)


def text_of(context: Context) -> str:
    """What a reader sees of the page, tags and images left out."""
    page = context.layout.report.read_text(encoding="utf-8")
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


def test_its_numbers_are_those_of_the_results(reported: ReportCase) -> None:
    text = text_of(reported.context)
    layout = reported.layout
    folders = {
        "small": layout.detector("small"),
        "large": layout.detector("large"),
        "bgs": layout.stage("fm", "wide+large"),
        "direct": layout.stage("fm", "large@8"),
    }
    ap = {
        name: f"{100 * read_json(folder.metrics)['splits']['test']['bbox_mAP']:.1f}"
        for name, folder in folders.items()
    }
    assert f"small has {ap['bgs']} AP on test, against {ap['small']} AP without a teacher" in text
    assert f"{ap['direct']} AP taught by large alone for as many epochs" in text
    assert f"large last teacher of the chain {ap['large']}" in text
    assert "wide teaches before large" in text
    assert "0.30 ± 0.04" in text


def test_it_is_the_same_from_the_same_results_and_asks_for_nothing(copied: Context) -> None:
    first = copied.layout.report.read_bytes()
    write_report(copied)
    assert copied.layout.report.read_bytes() == first
    page = first.decode()
    assert str(copied.layout.results) not in page
    addresses = set(re.findall(r'(?:href|src)="([^"#]*)', page))
    assert all(address.startswith("data:") for address in addresses if address), addresses
    assert "https://" not in page.replace("http://www.w3.org", "")


def test_before_anything_is_measured(tmp_path: Path) -> None:
    case = ReportCase(tmp_path)
    write_report(case.context)
    text = text_of(case.context)
    assert "small has no measured AP on test; no run has a teacher yet." in text
    assert "The order of 3 runs is not decided yet" in text
    assert "4 detectors and runs are not measured yet" in text
    assert text.count("not measured yet.") >= 6


def test_while_the_chain_is_under_way(copied: Context, without_maps: None) -> None:
    for chain in ("wide+large", "large@8"):
        shutil.rmtree(copied.layout.stage("fm", chain).path)
    write_report(copied)
    text = text_of(copied)
    assert "What small learns from wide and then large is not measured yet" in text
    assert "What is not measured yet cannot be compared." in text
    assert "2 detectors and runs are not measured yet" in text
    assert "Feature maps: not measured yet." in text
    # The first stage has ended.
    rows = re.findall(r"bgs 1 wide [\d.]+ [\d.]+ [\d.]+ \+[\d.]+ 4", text)
    assert len(rows) == 1


def test_a_model_that_is_too_large_is_named(copied: Context) -> None:
    metrics = read_json(copied.layout.detector("large").metrics)
    write_json(copied.layout.detector("large").metrics, {**metrics, "parameters": 10**9})
    write_report(copied)
    assert "Feature maps are left out: large is too large to run on a CPU" in text_of(copied)


def test_runs_that_are_not_compared_are_counted(copied: Context, without_maps: None) -> None:
    path = copied.layout.results.parent / "micro.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["runs"]["first"] = {"method": "fm", "order": ["wide"]}
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    context = Context.open(path, copied.layout.results)
    write_order(context)
    write_report(context)
    assert "compares 3 of them, chosen by settings and orders, and leaves 1 out" in text_of(context)


def test_content_decides_when_it_is_made_again(copied: Context, without_maps: None) -> None:
    task, path = Task("report"), copied.layout.results.parent / "micro.yaml"
    store = Store(copied.layout.results.parent / ".mtpd-store")

    def changes() -> tuple[str, ...]:
        experiment = Context.open(path, copied.layout.results).experiment
        recipes = Recipes(experiment, copied.layout, Zoo(), Digests())
        return Changes(recipes, store, Digests()).of(task)

    make(copied.recipes, store, task, lambda: write_report(copied))
    assert changes() == ()
    # Neither words nor times count.
    settings = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**settings, "description": "other words"}, sort_keys=False))
    for file in copied.layout.root.rglob("*.json"):
        file.touch()
    assert changes() == ()
    found = copied.layout.stage("fm", "wide+large").detections_of("val", "bbox")
    before = found.read_bytes()
    write_json(found, read_json(found)[1:])
    assert changes() == ("fm wide+large: detections on val: changed",)
    found.write_bytes(before)
    assert changes() == ()
    costs = read_json(copied.layout.costs)
    costs["costs"]["small"]["wide"] += 0.01
    write_json(copied.layout.costs, costs)
    assert changes() == ("costs: changed",)


def test_damaged_results_are_one_line(copied: Context) -> None:
    found = copied.layout.detector("small").detections_of("test", "bbox")
    found.write_text("{}")
    with pytest.raises(UserError, match="is no list of detections"):
        write_report(copied)
    assert not list(copied.layout.root.glob(".report*"))


def test_pictures_are_those_in_which_students_differ_most(reported: ReportCase) -> None:
    context = reported.context
    split = context.dataset.splits["val"]
    models = {
        Model("baseline", "small"): context.layout.detector("small"),
        Model("progressive", "bgs"): context.layout.stage("fm", "wide+large"),
    }
    shown = Detections("val", split, models).pictures(list(models))
    assert shown.images == 24
    spreads = [picture.spread for picture in shown.pictures]
    assert spreads == sorted(spreads, reverse=True)
    assert all(spread > 0 for spread in spreads)
    for picture in shown.pictures:
        truth, *students = picture.panels
        assert all(box.outcome == "object" for box in truth.boxes)
        values = [panel.f1 for panel in students]
        assert max(values) - min(values) == pytest.approx(picture.spread)


def test_likeness_of_maps() -> None:
    ramp = np.arange(6.0).reshape(2, 3)
    assert likeness(ramp, 3 * ramp + 1) == pytest.approx(1)
    assert likeness(ramp, -ramp) == pytest.approx(-1)
    assert likeness(ramp, np.ones((2, 3))) is None
    assert likeness(ramp, ramp.T) is None


def test_maps_are_those_of_the_neck(reported: ReportCase) -> None:
    """The strength of the finest, worked out from the detector itself on the image's pixels."""
    context, folder = reported.context, reported.layout.detector("large")
    shown = report_maps.Shown("large", "teacher", "large", folder)
    found = report_maps._maps(context, shown, 1)
    assert {stride: strength.shape for stride, strength in found.items()} == {
        8: (12, 12), 16: (6, 6), 32: (3, 3), 64: (2, 2),
    }  # fmt: skip
    init_default_scope("mmdet")
    model = MODELS.build(context.detector_config("large", Training()).model).eval()
    load_weights(model, folder.weights)
    split = context.dataset.splits["val"]
    name = read_json(split.annotations)["images"][0]["file_name"]
    pixels = np.asarray(Image.open(split.images / name).convert("RGB"), dtype=np.float32)
    normal = (pixels - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    image = torch.as_tensor(normal.transpose(2, 0, 1)[None], dtype=torch.float32)
    with torch.no_grad():
        maps = model.extract_feat(image)
    expected = maps[0][0].abs().mean(0).numpy()
    # Two ways to read a JPEG differ by a little.
    assert found[8] == pytest.approx(expected, rel=0.02, abs=0.01)
