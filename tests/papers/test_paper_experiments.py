"""The papers' experiments: what was published, where weights come from, and nothing done twice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as flattened
from pathlib import Path
from typing import Any

import pytest
from micro import PROJECT

from mtpd.chains import Chain
from mtpd.digests import Digests
from mtpd.experiment import runs
from mtpd.experiment.load import load_experiment
from mtpd.experiment.recipes import Made, Recipes, Task
from mtpd.files import digest_of
from mtpd.layout import Layout
from mtpd.papers.paper import Cell, experiments_of, load_paper
from mtpd.selection.orders import choose_order
from mtpd.selection.pool import Pool
from mtpd.settings.experiment import Experiment
from mtpd.settings.runtime import Zoo
from mtpd.zoo.metafiles import published
from mtpd.zoo.sources import sha256_of_name, zoo_weights

PAPER = load_paper(PROJECT / "config" / "paper_tables.yaml")
EXPERIMENTS = {
    name: load_experiment(PROJECT / "config" / "experiments" / f"{name}.yaml")
    for name in experiments_of(PAPER)
}

# Row by row, as in the papers; None: not given. "fig" values were read off a bar chart.
PUBLISHED = {
    "mtpd_best": [
        36.5, 41.7,
        36.5, 42.0,
        38.2, 34.7, 42.5, 38.2,
        38.2, 34.7, 42.6, 38.4,
        None, 42.9,
    ],
    "mtpd_direct_progressive": [
        39.8, 40.2, 40.7, 41.5, 41.0, 41.4,
        42.0, 42.4, 42.0, 42.5, 42.3, 42.9,
        41.0, 41.2, 42.1, 42.4, 42.4, 42.5,
        37.0, 37.2, 37.8, 38.0, 38.1, 38.2,
    ],
    "pgd_coco": [
        43.1, 38.2, 42.5, 42.5,
        44.8, 40.6, 43.8, 43.8,
        45.5, 39.6, 44.2, 44.2,
        45.8, 40.2, 43.8, 43.8,
        46.6, 42.0, 45.4, 45.4,
    ],
    "pgd_crowdhuman": [
        41.4, 90.2, 81.4,
        46.0, 88.0, 79.0,
        42.8, 90.0, 80.7,
        42.8, 90.0, 80.7,
    ],
}  # fmt: skip

# Files that MTPD's authors used, by the config that stands for each.
AUTHORS_FILES = {
    ("mtpd_retinanet", "retinanet_r101"):
        "retinanet_r101_fpn_mstrain_3x_coco_20210720_214650-7ee888e0",
    ("mtpd_retinanet", "retinanet_x101"):
        "retinanet_x101_64x4d_fpn_mstrain_3x_coco_20210719_051838-022c2187",
    ("mtpd_mask_rcnn", "cascade_r50_dcn"):
        "cascade_mask_rcnn_r50_fpn_dconv_c3-c5_1x_coco_20200202-42e767a2",
    ("mtpd_mask_rcnn", "cascade_x101_dcn"):
        "cascade_mask_rcnn_x101_32x4d_fpn_dconv_c3-c5_1x_coco-e75f90c8",
    ("mtpd_mask_rcnn", "mask_rcnn_swin_t"):
        "mask_rcnn_swin-t-p4-w7_fpn_fp16_ms-crop-3x_coco_20210908_165006-90a4008c",
    ("mtpd_mask_rcnn", "mask_rcnn_swin_s"):
        "mask_rcnn_swin-s-p4-w7_fpn_fp16_ms-crop-3x_coco_20210903_104808-b92c91f1",
    ("mtpd_reppoints", "reppoints_r101"):
        "reppoints_moment_r101_fpn_gn-neck%2Bhead_2x_coco_20200329-4fbc7310",
    ("mtpd_reppoints", "reppoints_x101_dcn"):
        "reppoints_moment_x101_fpn_dconv_c3-c5_gn-neck%2Bhead_2x_coco_20200329-f87da1ea",
}  # fmt: skip


def cells(table: str) -> list[Cell]:
    return [cell for row in PAPER.tables[table].rows for cell in row.cells.values()]


@pytest.mark.parametrize("table", PUBLISHED)
def test_published_values(table: str) -> None:
    assert [cell.published for cell in cells(table)] == PUBLISHED[table]


def test_values_off_a_chart_say_so() -> None:
    assert all(cell.approximate for cell in cells("mtpd_direct_progressive"))
    for table in ("mtpd_best", "pgd_coco", "pgd_crowdhuman"):
        assert not any(cell.approximate for cell in cells(table))


def test_feature_matching_stage_by_stage() -> None:
    row = next(row for row in PAPER.tables["mtpd_feature_matching"].rows if "0.5" in row.labels)
    values = {name: cell.published for name, cell in row.cells.items()}
    assert values == {"without": 36.5, "after 1": 37.9, "after 2": 39.9}
    assert [cell.stage for cell in row.cells.values()] == [None, 1, 2]


@pytest.mark.parametrize(("experiment", "teacher"), AUTHORS_FILES)
def test_teachers_are_the_authors(experiment: str, teacher: str) -> None:
    detector = EXPERIMENTS[experiment].teachers[teacher]
    assert detector.weights == "zoo"
    address = zoo_weights(detector.config)
    assert address.endswith(f"/{AUTHORS_FILES[experiment, teacher]}.pth")


def test_students_of_the_zoo_are_near_the_published_ones() -> None:
    """Its AP and the paper's agree but for the authors' own training of the same detector."""
    found = [
        (record.box_ap, cell.published)
        for cell in flattened(cells("mtpd_best"), cells("pgd_coco"))
        if cell.metric == "bbox_mAP" and cell.detector is not None and cell.published is not None
        for detector in [EXPERIMENTS[cell.experiment].detector(cell.detector)]
        if detector.weights == "zoo"
        for record in [published().records[detector.config]]
    ]
    assert len(found) == 7
    assert all(abs(own - paper) <= 0.35 for own, paper in found)


def test_everything_from_the_zoo_has_a_hash() -> None:
    for experiment in EXPERIMENTS.values():
        for name in experiment.detectors:
            detector = experiment.detector(name)
            if "zoo" in (detector.weights, detector.start_from):
                assert sha256_of_name(zoo_weights(detector.config)) is not None


def test_schedules_are_the_papers() -> None:
    rates = {"mtpd_retinanet": 0.01, "mtpd_mask_rcnn": 0.02, "mtpd_reppoints": 0.01}
    for name, experiment in EXPERIMENTS.items():
        for method in experiment.methods:
            training = experiment.stage_training(method, None)
            assert training.optimizer is not None
            assert training.epochs == 12
            assert training.batch_size == (4 if name.startswith("pgd") else 2)
            assert training.optimizer["type"] == "SGD"
            assert training.optimizer["momentum"] == 0.9
            rate, batch = (0.02, 32) if name.startswith("pgd") else (rates.get(name, 0.01), 16)
            assert training.optimizer["lr"] == rate
            assert training.lr_for_batch == batch
            assert training.clip_grad_norm == 35
        assert experiment.resources.train.gpus == 8


TRAINED_FOR_THE_ORDER = {
    "mtpd_retinanet": {"retinanet_swin_t", "retinanet_swin_s"},
    "mtpd_mask_rcnn": set(),
}
"""What no zoo has."""


@pytest.mark.parametrize("name", TRAINED_FOR_THE_ORDER)
def test_the_order_of_a_pool_trains_only_what_no_zoo_has(name: str) -> None:
    experiment = EXPERIMENTS[name]
    of_zoo = [n for n, teacher in experiment.teachers.items() if teacher.weights == "zoo"]
    assert len(of_zoo) >= 5
    assert experiment.runs["bgs"].order == "bgs"
    recipes = Recipes(experiment, Layout(Path("results"), name), Zoo(), Digests())
    pending, needed = [Task("order")], set()
    while pending:
        task = pending.pop()
        needed.add(task)
        sources = recipes.of(task).inputs.values()
        pending += [source.task for source in sources if isinstance(source, Made)]
    assert {task.names for task in needed if task.rule == "features"} == {
        (detector,) for detector in experiment.detectors
    }
    trained = {task for task in needed if recipes.of(task).kind == "training"}
    assert {(task.rule, *task.names) for task in trained} == {
        ("train", detector) for detector in TRAINED_FOR_THE_ORDER[name]
    }


@pytest.mark.parametrize("upwards", [True, False])
def test_no_training_is_done_twice(upwards: bool) -> None:
    done: dict[str, str] = {}
    for name, experiment in EXPERIMENTS.items():
        for where, identity in trainings(experiment, upwards):
            digest = digest_of(identity)
            assert digest not in done, f"{name}: {where} is {done.get(digest)} once more"
            done[digest] = f"{name}: {where}"


def trainings(experiment: Experiment, upwards: bool) -> Iterator[tuple[str, Any]]:
    """Every training of an experiment, and all that its result depends on."""
    recipes = Recipes(experiment, Layout(Path("results"), "x"), Zoo(), Digests())
    for name in experiment.detectors:
        if experiment.detector(name).weights is None:
            yield name, planned(recipes, Task("train", (name,)))
    chains = runs.chains_of_runs(experiment, supposed_orders(experiment, upwards))
    by_method: dict[str, list[Chain]] = {}
    for member, chain in chains.items():
        by_method.setdefault(runs.run_of(experiment, member).method, []).append(chain)
    for method, found in by_method.items():
        for stage in dict.fromkeys(prefix for chain in found for prefix in chain.prefixes()):
            yield f"{method} {stage}", planned(recipes, Task("stage", (method, str(stage))))


def planned(recipes: Recipes, task: Task) -> str:
    """Identity of a result whose inputs are not there yet: theirs stand for them."""
    recipe = recipes.of(task)
    data = digest_of(recipes.experiment.data.model_dump(mode="json"))
    return recipe.identity(
        {
            role: planned(recipes, source.task) if isinstance(source, Made) else data + source.part
            for role, source in recipe.inputs.items()
        }
    )


def supposed_orders(experiment: Experiment, upwards: bool) -> dict[str, list[str]]:
    """Orders of the runs that the data decides, from made-up scores and costs."""
    names = list(experiment.teachers)
    scores = {name: float(i if upwards else -i) for i, name in enumerate(names)}
    places = {experiment.student.name: -1.0, **{n: scores[n] + len(names) for n in names}}
    costs = {a: {b: abs(places[a] - places[b]) for b in places} for a in places}
    pool = Pool(experiment.student.name, scores, costs, min(scores.values()) - 1)
    return {
        member: list(choose_order(run.order, pool, runs.teachers_at_most(experiment, run)).teachers)
        for member in runs.all_members(experiment)
        for run in [runs.run_of(experiment, member)]
        if isinstance(run.order, str) and run.order not in ("none", "random")
    }
