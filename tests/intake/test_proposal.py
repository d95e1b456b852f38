"""What is proposed for data sets and machines, and that it is a valid experiment."""

from __future__ import annotations

from typing import Any

import pytest

from mtpd.intake.choice import Choice
from mtpd.intake.machine import Machine
from mtpd.intake.proposal import Pretrained, Proposal, Wishes, propose
from mtpd.intake.survey import Sizes, SplitSurvey, Survey
from mtpd.settings.experiment import Experiment

CPU = Machine(cores=8, memory_gb=32)
GPU = Machine(cores=16, memory_gb=64, gpus=1, gpu_name="V100", gpu_memory_gb=32)
ALL_THERE = Pretrained(lambda _: None, lambda _: None)
NOTHING = Pretrained(lambda _: "no network", lambda _: "no network")
DATA = {"source": "yolo", "root": "somewhere"}


def data_set(
    images: int = 205, long: int = 640, small_box: float = 0.1, masks: bool = False
) -> Survey:
    counts = {"train": images, "val": 40}
    splits = {name: SplitSurvey(n, 0, 3 * n, {"a": 3 * n}) for name, n in counts.items()}
    short = long * 3 // 4
    box = (small_box * long, 80.0, 200.0)
    sizes = Sizes((long,) * 3, (short,) * 3, 0.75, long, box, small_box)
    return Survey(splits, ("a",), sizes, masks)


def experiment(proposal: Proposal) -> Experiment:
    return Experiment.model_validate({"data": DATA, **proposal.settings})


def proposed(
    found: Survey,
    machine: Machine = CPU,
    wishes: Wishes | None = None,
    pretrained: Pretrained = ALL_THERE,
    **more: Any,
) -> Experiment:
    return experiment(propose(found, machine, wishes or Wishes(), pretrained, **more))


def test_on_a_cpu_small_detectors_learn_by_bccds_schedule() -> None:
    found = proposed(data_set())
    assert found.detectors == (
        "retinanet_r18_w16",
        "retinanet_regnet_w24",
        "retinanet_r18_w32",
        "retinanet_r34_w32",
    )
    assert (found.pipeline.size, found.training.batch_size) == ((320, 240), 8)
    # 500 steps of 26 an epoch, as bccd.yaml has it; a teacher longer, a stage shorter.
    assert found.training.epochs == 20
    assert found.detector_training("retinanet_r34_w32").epochs == 24
    assert found.stage_training("cwd", None).epochs == 12
    assert (found.resources.train.gpus, found.resources.train.threads) == (0, 2)
    budgets = {name: run.budget for name, run in found.runs.items()}
    assert budgets == {
        "progressive": None,
        "direct-same-budget": "progressive",
        "no-teacher-same-budget": "progressive",
    }


def test_on_a_gpu_detectors_start_from_coco() -> None:
    found = proposed(data_set(images=2000), GPU)
    assert found.detectors == (
        "retinanet_r18",
        "retinanet_r50",
        "retinanet_r101",
        "retinanet_x101-64x4d",
    )
    assert {found.detector(name).start_from for name in found.detectors} == {"zoo"}
    assert (found.training.lr_for_batch, found.training.amp) == (16, True)
    assert found.training.batch_size == 8  # 15 fit
    assert found.training.epochs == 12
    assert found.resources.train.gpus == 1


def test_a_small_gpu_gets_small_batches() -> None:
    small = Machine(cores=4, memory_gb=16, gpus=1, gpu_name="GTX", gpu_memory_gb=6)
    assert proposed(data_set(), small).training.batch_size == 2  # of 640x480
    tiny_boxes = proposed(data_set(long=2000, small_box=0.01), small)
    assert (tiny_boxes.pipeline.size, tiny_boxes.training.batch_size) == ((1333, 1000), 1)


def test_without_a_network_backbones_or_nothing_and_a_line() -> None:
    proposal = propose(data_set(), GPU, Wishes(), NOTHING)
    found = experiment(proposal)
    assert found.student.options["model.backbone.init_cfg"] is None
    assert found.student.start_from is None
    assert "no COCO weights for retinanet_r18, " in proposal.remarks[0]
    assert "no network" in proposal.remarks[0]
    backbones = propose(
        data_set(), GPU, Wishes(), Pretrained(lambda _: "no network", lambda _: None)
    )
    assert experiment(backbones).student.options == {}
    assert "start from their pretrained backbones" in backbones.remarks[0]


@pytest.mark.parametrize(
    ("long", "small_box", "size"),
    [
        (96, 0.2, (96, 72)),  # never larger than the images
        (2000, 0.1, (320, 240)),
        (2000, 0.025, (416, 312)),  # small boxes: 10 pixels of 400, up to a multiple of 32
        (2000, 0.005, (512, 384)),
    ],
)
def test_image_sizes(long: int, small_box: float, size: tuple[int, int]) -> None:
    assert proposed(data_set(long=long, small_box=small_box)).pipeline.size == size


@pytest.mark.parametrize("images", [3, 5, 17, 33, 41, 1000, 100_000])
def test_batches_leave_no_single_image_over_and_epochs_are_bounded(images: int) -> None:
    found = proposed(data_set(images=images))
    batch, epochs = found.training.batch_size, found.training.epochs
    assert batch is not None
    assert epochs is not None
    assert batch == 2 or images % batch != 1
    assert 8 <= epochs <= 60
    assert 2 <= found.ordering.images <= max(2, images)


def test_what_the_user_has_decided_is_taken() -> None:
    student = Choice("mine", "config/detectors/gfl_r18_w16.py")
    teacher = Choice("big", "config/detectors/gfl_r34_w32.py", "big.pth")
    found = proposed(data_set(), wishes=Wishes(student, (teacher,), (256, 512), seed=3))
    assert found.detectors == ("mine", "big")
    assert found.teachers["big"].weights == "big.pth"
    assert found.teachers["big"].training.epochs is None
    assert (found.pipeline.size, found.seed, found.ordering.max_teachers) == ((512, 256), 3, 1)


def test_a_budget_changes_all_epochs() -> None:
    found = proposed(data_set(), factor=0.5, why_factor="as many as 1 h of this machine allow")
    assert found.training.epochs == 10
    assert found.stage_training("cwd", None).epochs == 6
    assert proposed(data_set(), factor=0.0).training.epochs == 1


def test_masks_are_named() -> None:
    remarks = propose(data_set(masks=True), CPU, Wishes(), ALL_THERE).remarks
    assert "--student mask_rcnn_r18_w16" in remarks[0]
