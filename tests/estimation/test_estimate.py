"""Estimates worked out by hand, of the jobs that Snakemake plans.

The micro experiment has 8, 4 and 4 images in batches of 4, for one epoch; `b` is the slow teacher.
A run of its own, `progressive`, is decided; the order of `direct` is not. The teacher sees every
batch, but where a test lets its maps be kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from micro import MICRO as KEEPING_MAPS
from micro import PROJECT, SMALL, changed

from mtpd.data.dataset import Dataset, Split
from mtpd.data.published import COUNTS
from mtpd.estimation.estimate import (
    Estimate,
    count_rules,
    estimate,
    format_estimate,
    total,
    workloads,
)
from mtpd.estimation.images import count_images
from mtpd.estimation.plan import PlannedJob
from mtpd.estimation.speed import Assumptions, Calibration, Measurement, Speed
from mtpd.experiment.load import load_experiment
from mtpd.experiment.recipes import Task
from mtpd.layout import Layout
from mtpd.settings.experiment import Experiment
from mtpd.steps.estimate import dry_run

MICRO = changed(KEEPING_MAPS, ("methods.fm.teacher", {"cache_gb": 0}))
STARTUP = Assumptions.load().startup_seconds
SECONDS = {"train_step": 2.0, "forward": 1.0}
SLOW = {"train_step": 3.0, "forward": 1.5}
SLOW_OPTIONS = MICRO["teachers"]["b"]["options"]


def measured(device: str) -> Calibration:
    """2 s and 1 s for a step and a forward pass, 0.5 s for a detection; `b` half as much more."""
    found = []
    for options, seconds, detection in (({}, SECONDS, 0.5), (SLOW_OPTIONS, SLOW, 0.75)):
        for batch, kinds in ((4, seconds), (1, {"evaluation": detection})):
            found.append(
                Measurement(
                    config=SMALL,
                    options=options,
                    image_size=(64, 64),
                    batch_size=batch,
                    amp=False,
                    device=device,
                    threads=1 if device == "cpu" else 0,
                    device_name=f"Test {device}",
                    torch="2.0",
                    date="2020-01-01",
                    parameters=1_000_000,
                    seconds=kinds,
                )
            )
    return Calibration(measurements=tuple(found))


def planned(layout: Layout, settings: dict[str, Any]) -> list[PlannedJob]:
    """What Snakemake plans of an experiment."""
    folder = layout.results / "experiments"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{layout.experiment}.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    return dry_run(folder, [layout.experiment], layout.results)


def priced(
    layout: Layout, settings: dict[str, Any], jobs: Sequence[PlannedJob], speed: Speed
) -> Estimate:
    (found,) = estimate(jobs, [(Experiment.model_validate(settings), layout)], speed)
    return found


def estimated(layout: Layout, *changes: tuple[str, Any], device: str = "cpu") -> Estimate:
    settings = changed(MICRO, *changes)
    return priced(layout, settings, planned(layout, settings), Speed(measured(device)))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "micro")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> list[PlannedJob]:
    """Of the micro experiment, of which nothing is there."""
    return planned(Layout(tmp_path_factory.mktemp("fresh"), "micro"), MICRO)


@pytest.fixture
def micro(layout: Layout, plan: list[PlannedJob]) -> Callable[..., Estimate]:
    """Price the plan with some of the jobs done, its results lying in ``layout``."""

    def price(*done: Task) -> Estimate:
        folders = [(layout.detector(name), Task("train", (name,))) for name in "abc"]
        weights = {task: folder.weights for folder, task in folders}
        jobs = [
            replace(job, is_left=job.task not in done, product=weights.get(job.task, job.product))
            for job in plan
        ]
        return priced(layout, MICRO, jobs, Speed(measured("cpu")))

    return price


def seconds_of(found: Estimate, rule: str) -> list[float]:
    """Without the time that a job takes to start."""
    return [job.seconds - STARTUP for job in found.jobs if job.rule == rule]


def test_every_job_by_hand(micro: Callable[..., Estimate]) -> None:
    found = micro()
    # Two steps and four validation images; the student, a, b, c.
    assert seconds_of(found, "train") == pytest.approx([2 * 2 + 4 * 0.5] * 2 + [9, 6])
    # The student's step and the teacher's pass: a, then b; b once more where nobody knows yet.
    stages = [2 * (2 + 1) + 2, 2 * (2 + 1.5) + 2, 9]
    assert seconds_of(found, "stage") == pytest.approx(stages)
    assert seconds_of(found, "evaluate_detector") == pytest.approx([4, 4, 6, 4])
    assert seconds_of(found, "evaluate_stage") == pytest.approx([4, 4])
    assert count_rules(found) == {
        "data": (0, 1),
        "check": (0, 4),
        "check_pair": (0, 3),
        "train": (0, 4),
        "evaluate_detector": (0, 4),
        "order": (0, 1),
        "stage": (0, 3),
        "evaluate_stage": (0, 2),
        "results": (0, 1),
        "report": (0, 1),
    }
    everything = 27 + 26 + 18 + 8 + 24 * STARTUP
    assert found.hours_in_turn == pytest.approx(everything / 3600)
    # data, check, train b, evaluate b, order, stage of b, its evaluation, results beside the report
    assert found.hours_at_once == pytest.approx((9 + 6 + 9 + 4 + 8 * STARTUP) / 3600)
    assert found.gpu_hours == 0
    assert found.undecided == ("direct",)


def test_a_teacher_whose_maps_are_kept_sees_each_image_in_two_versions(layout: Layout) -> None:
    kept = ("methods.fm.teacher", ...)
    found = estimated(layout, kept, ("methods.fm.training", {"epochs": 5}))
    # Five epochs of two of the student's steps, and five validations; once two batches, both ways.
    assert seconds_of(found, "stage")[0] == pytest.approx(5 * 2 * 2 + 5 * 4 * 0.5 + 2 * 2 * 1)
    unflipped = estimated(layout, kept, ("pipeline.flip", 0.0))
    assert seconds_of(unflipped, "stage")[0] == pytest.approx(2 * 2 + 4 * 0.5 + 2 * 1)
    # 8 images, 2 versions of 64 + 16 + 4 + 1 + 1 positions, 256 channels of 2 bytes: 688 KiB.
    for limit, seconds in ((688 / 2**20, 2 * 2 + 4 * 0.5 + 2 * 2 * 1), (687 / 2**20, 8)):
        limited = estimated(layout, ("methods.fm.teacher", {"cache_gb": limit}))
        assert seconds_of(limited, "stage")[0] == pytest.approx(seconds)


def test_two_gpus_share_the_batches_and_both_count(layout: Layout) -> None:
    on_gpus = ("resources", {"train": {"gpus": 2}, "infer": {"gpus": 1}})
    found = estimated(layout, on_gpus, device="cuda")
    # One step of four images on each, and two of the four validation images.
    trains = [2 + 2 * 0.5] * 2 + [3 + 2 * 0.75] + [3]
    assert seconds_of(found, "train") == pytest.approx(trains)
    stages = [3 + 1, 3.5 + 1, 4.5]
    assert seconds_of(found, "stage") == pytest.approx(stages)
    trained = 2 * (sum(trains) + sum(stages) + 7 * STARTUP)
    evaluated = 18 + 8 + 6 * STARTUP
    assert found.gpu_hours == pytest.approx((trained + evaluated) / 3600)


def test_stages_that_runs_share_count_once(layout: Layout) -> None:
    orders = {"one": ["a"], "two": ["a", "b"], "three": ["a", "c"], "again": ["a", "b"]}
    runs = {name: {"method": "fm", "order": order} for name, order in orders.items()}
    rules = count_rules(estimated(layout, ("runs", runs)))
    assert rules["stage"] == (0, 3)
    assert rules["evaluate_stage"] == (0, 3)
    assert "order" not in rules


def test_orders_of_the_data_count_at_their_longest(layout: Layout) -> None:
    runs = {
        "bgs": {"method": "fm", "order": "bgs"},
        "two": {"method": "fm", "order": "ascending", "max_teachers": 2},
        "two-again": {"method": "fm", "order": "ascending", "max_teachers": 2},
    }
    found = estimated(layout, ("runs", runs))
    rules = count_rules(found)
    assert rules["stage"] == (0, 3 + 2)
    assert (rules["features"], rules["costs"], rules["order"]) == ((0, 4), (0, 1), (0, 1))
    # b is the slowest and is counted first; then a and c, which are alike.
    assert seconds_of(found, "stage") == pytest.approx([9, 8, 8, 9, 8])
    # Six calibration images.
    assert seconds_of(found, "features") == pytest.approx([3, 3, 4.5, 3])


def test_every_seed_is_a_chain(layout: Layout) -> None:
    runs = {
        "known": {"method": "fm", "order": ["a", "c"], "seeds": [0, 1]},
        "unknown": {"method": "fm", "order": "direct", "seeds": [0, 1, 2]},
    }
    found = estimated(layout, ("runs", runs))
    assert seconds_of(found, "stage") == pytest.approx([8] * 4 + [9] * 3)
    assert found.undecided == ("unknown~0", "unknown~1", "unknown~2")


def test_weights_are_fetched_once_for_all_experiments(tmp_path: Path) -> None:
    config = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"
    changes = ("teachers.b", {"config": config, "weights": "zoo"}), ("runs", {})
    one = estimated(Layout(tmp_path, "one"), *changes)
    two = estimated(Layout(tmp_path, "two"), *changes)
    assert count_rules(one)["fetch"] == count_rules(two)["fetch"] == (0, 1)
    assert seconds_of(one, "train") == pytest.approx([6, 6, 0, 6])
    assert "pretrained" not in count_rules(one)
    rules = count_rules(total([one, two]))
    assert (rules["fetch"], rules["train"]) == ((0, 1), (0, 8))


def test_a_detector_that_is_trained_starts_from_a_fetched_backbone(layout: Layout) -> None:
    config = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"
    rules = count_rules(estimated(layout, ("teachers.b", {"config": config})))
    assert rules["pretrained"] == (0, 1)
    assert "fetch" not in rules


def test_a_trial_scales_the_usual_images(layout: Layout) -> None:
    scaled = ("pipeline", {"scale": 0.5})
    needed = workloads([(Experiment.model_validate(changed(MICRO, scaled)), layout)])
    assert {workload.image_size for workload in needed} == {(666, 400)}


def test_a_budget_has_the_epochs_of_the_other_run(layout: Layout) -> None:
    alone = {"method": "fm", "order": "none", "budget": "progressive"}
    found = estimated(layout, ("runs.alone", alone))
    # Two epochs without teacher: two stages of one epoch each.
    assert sorted(seconds_of(found, "stage")) == pytest.approx([8, 9, 9, 2 * 6])


def test_weights_that_are_given_are_not_trained(layout: Layout) -> None:
    weights = layout.results / "b.pth"
    weights.touch()
    found = estimated(layout, ("teachers.b.weights", str(weights)))
    assert seconds_of(found, "train") == pytest.approx([6, 6, 0, 6])


def test_a_student_that_starts_from_its_backbone_waits_for_no_baseline(layout: Layout) -> None:
    runs = {"one": {"method": "fm", "order": ["a"]}}
    slow_student = ("student.options", SLOW_OPTIONS)
    after = estimated(layout, ("runs", runs), slow_student)
    at_once = estimated(layout, ("runs", runs), slow_student, ("methods.fm.start", "backbone"))
    ends = [
        next(job for job in found.jobs if job.rule == "stage").ends for found in (after, at_once)
    ]
    assert ends[0] - ends[1] == pytest.approx(9 - 6)  # a's training instead


def test_what_is_there_is_done(layout: Layout, micro: Callable[..., Estimate]) -> None:
    fresh = micro()
    b = layout.detector("b")
    b.path.mkdir(parents=True)
    b.progress.write_text(json.dumps({"iteration": 1, "iterations": 4}))
    done = (
        Task("train", ("student",)),
        Task("evaluate_detector", ("student",)),
        Task("stage", ("fm", "a")),
    )
    found = micro(*done)
    rules = count_rules(found)
    assert rules["train"] == rules["evaluate_detector"] == (1, 3)
    assert rules["stage"] == (1, 2)
    saved = 6 + 4 + 8 + 3 * STARTUP + (9 + STARTUP) / 4
    assert 3600 * (fresh.hours_in_turn - found.hours_in_turn) == pytest.approx(saved)
    assert len(found.left) == len(found.jobs) - 3
    b.progress.write_text("{")
    assert micro(*done).hours_in_turn > found.hours_in_turn


def test_weights_that_are_made_again_are_not_half_done(
    layout: Layout, micro: Callable[..., Estimate]
) -> None:
    fresh, b = micro(), layout.detector("b")
    b.path.mkdir(parents=True)
    b.weights.touch()
    b.progress.write_text(json.dumps({"iteration": 4, "iterations": 4}))
    assert micro().hours_in_turn == fresh.hours_in_turn


def test_what_the_store_has_counts_as_a_start(layout: Layout, plan: list[PlannedJob]) -> None:
    speed = Speed(measured("cpu"))
    jobs = [replace(job, is_kept=job.task.rule == "stage") for job in plan]
    found, fresh = (priced(layout, MICRO, some, speed) for some in (jobs, plan))
    # a, a+b; the stage that the data decides is not known.
    assert seconds_of(found, "stage") == pytest.approx([0, 0, 9])
    assert 3600 * (fresh.hours_in_turn - found.hours_in_turn) == pytest.approx(8 + 9)
    text = format_estimate([found], speed)
    assert "2 jobs take their results from the store" in text
    assert "store" not in format_estimate([fresh], speed)


def test_a_finished_experiment_has_nothing_left(layout: Layout, plan: list[PlannedJob]) -> None:
    speed = Speed(measured("cpu"))
    found = priced(layout, MICRO, [replace(job, is_left=False) for job in plan], speed)
    assert found.undecided == ()
    assert len(found.jobs) == len(plan)
    assert (found.left, found.hours_in_turn, found.hours_at_once) == ((), 0, 0)
    assert f"0 of {len(plan)}" in format_estimate([found], speed)


def test_disk_is_what_the_jobs_left_will_write(micro: Callable[..., Estimate]) -> None:
    found = micro()
    dumps = 6 * 8 * Assumptions.load().detections_bytes
    assert found.n_bytes == pytest.approx(7 * 4 * 1_000_000 + dumps)
    less = micro(Task("train", ("a",)))
    assert found.n_bytes - less.n_bytes == pytest.approx(4 * 1_000_000)


def test_names_do_not_matter(layout: Layout) -> None:
    renamed = changed(MICRO, ("student.name", "other"), ("teachers.b", ...), ("runs", {}))
    renamed["teachers"]["new"] = MICRO["teachers"]["b"]
    speed = Speed(measured("cpu"))
    found = priced(layout, renamed, planned(layout, renamed), speed)
    assert seconds_of(found, "train") == pytest.approx([6, 6, 6, 9])
    assert {answer.source for answer in speed.answers.values()} == {"measured"}


def test_calibration_measures_what_the_estimate_asks(layout: Layout) -> None:
    experiment = Experiment.model_validate(MICRO)
    needed = workloads([(experiment, layout)])
    known = {item.workload: set(item.seconds) for item in measured("cpu").measurements}
    assert {workload: set(kinds) for workload, kinds in needed.items()} == known
    pairs = workloads([(experiment, layout)], distillation=True, size=(32, 32))
    kinds = Counter(kind for of_one in pairs.values() for kind in of_one)
    assert kinds["distillation_step"] == 2  # a and b, whose runs are the same in any order
    assert {workload.image_size for workload in pairs} == {(32, 32)}


def test_images_of_prepared_data_come_first(layout: Layout, tmp_path: Path) -> None:
    split = Split(layout.data / "a.json", tmp_path, 100, 1000, "0")
    Dataset(("one",), False, {"train": split, "val": split}).save(layout.dataset)
    images = count_images(Experiment.model_validate(MICRO), layout)
    assert (images.splits, images.evaluated) == ({"train": 100, "val": 100}, 100)
    assert images.source == "prepared data"


def coco(root: Path) -> Experiment:
    split = {"annotations": "instances_train2017.json", "images": "train2017"}
    val = {"annotations": "instances_val2017.json", "images": "val2017"}
    data = {"source": "coco", "root": str(root), "train": split, "val": val}
    return Experiment.model_validate(changed(MICRO, ("data", data)))


def test_images_of_coco_are_known_and_those_of_a_file_are_counted(
    layout: Layout, tmp_path: Path
) -> None:
    images = count_images(coco(tmp_path), layout)
    assert images.splits == {"train": 118287, "val": 5000}
    assert images.source == "published sizes of the data set"
    annotations = {"images": [{"id": n, "file_name": f"{n}.jpg"} for n in range(3)]}
    for name in ("train", "val"):
        file = tmp_path / f"instances_{name}2017.json"
        file.write_text(json.dumps(annotations, indent=1))
    images = count_images(coco(tmp_path), layout)
    assert (images.splits, images.source) == ({"train": 3, "val": 3}, "annotations")


def test_sizes_of_argoverse_hd_are_those_that_the_check_of_data_knows(
    layout: Layout, tmp_path: Path
) -> None:
    data = ("data", {"source": "argoverse_hd", "root": str(tmp_path)})
    experiment = Experiment.model_validate(changed(MICRO, data))
    known = COUNTS["argoverse_hd"]
    expected = {name: known[f"{name}.json"].images for name in ("train", "val")}
    assert count_images(experiment, layout).splits == expected


def test_a_data_set_of_which_nothing_is_there_counts_as_coco(
    layout: Layout, tmp_path: Path
) -> None:
    data = ("data", {"source": "voc", "root": str(tmp_path), "test": "test"})
    images = count_images(Experiment.model_validate(changed(MICRO, data)), layout)
    assert images.splits == {"train": 118287, "val": 5000, "test": 5000}


def test_images_of_crowdhuman_are_its_lines(layout: Layout, tmp_path: Path) -> None:
    data = ("data", {"source": "crowdhuman", "root": str(tmp_path)})
    experiment = Experiment.model_validate(changed(MICRO, data))
    assert count_images(experiment, layout).splits == {"train": 15000, "val": 4370}
    for split in ("train", "val"):
        (tmp_path / f"annotation_{split}.odgt").write_text('{"ID": "a"}\n{"ID": "b"}\n')
    assert count_images(experiment, layout).splits == {"train": 2, "val": 2}


def test_images_of_voc_are_listed(layout: Layout, tmp_path: Path) -> None:
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    data = ("data", {"source": "voc", "root": str(tmp_path), "test": None})
    experiment = Experiment.model_validate(changed(MICRO, data))
    assert "as the data is not there" in count_images(experiment, layout).source
    (lists / "train.txt").write_text("a\nb\n\n")
    (lists / "val.txt").write_text("c")
    assert count_images(experiment, layout).splits == {"train": 2, "val": 1}


def test_the_text_says_what_it_rests_on(layout: Layout, plan: list[PlannedJob]) -> None:
    speed = Speed(measured("cpu"))
    text = format_estimate([priced(layout, MICRO, plan, speed)], speed)
    assert "≤ 24 of 24" in text
    assert "Speeds: measured on Test cpu." in text
    assert "Images: settings." in text
    speed = Speed(Calibration())
    text = format_estimate([priced(layout, MICRO, plan, speed)], speed)
    assert "Speeds: assumed, for a CPU; `mtpd calibrate` measures them." in text
    assert f"count as retinanet r50: {SMALL}." in text


def test_a_total_is_the_sum_and_experiments_run_beside_each_other(tmp_path: Path) -> None:
    one = estimated(Layout(tmp_path, "one"))
    two = estimated(Layout(tmp_path, "two"), ("training.epochs", 2))
    both = total([one, two])
    assert both.hours_in_turn == pytest.approx(one.hours_in_turn + two.hours_in_turn)
    assert both.hours_at_once == two.hours_at_once > one.hours_at_once
    assert both.undecided == ("one/direct", "two/direct")
    assert "total" in format_estimate([one, two], Speed(Calibration()))


def test_ten_experiments_take_under_a_second(tmp_path: Path) -> None:
    files = sorted((PROJECT / "config" / "experiments").glob("*.yaml"))[:10]
    loaded = [(load_experiment(file), Layout(tmp_path, file.stem)) for file in files]
    jobs = dry_run(files[0].parent, [file.stem for file in files], tmp_path)
    began, speed = time.process_time(), Speed(Calibration())
    found = estimate(jobs, loaded, speed)
    assert format_estimate(found, speed)
    assert time.process_time() - began < 1
    assert [one.name for one in found] == [file.stem for file in files]


def test_the_command_imports_nothing_heavy(write_experiment: Any, tmp_path: Path) -> None:
    code = (
        "import sys; from mtpd.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'mmengine', 'mmdet', 'numpy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    results = ["--results", str(tmp_path / "results")]
    command = [sys.executable, "-c", code, "estimate", str(write_experiment()), *results]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "evaluate_detector" in done.stdout
    assert "≤ 24 of 24" in done.stdout
    assert not (tmp_path / "results").exists()
