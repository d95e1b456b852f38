"""What does not fit together is said in one line, before any training."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from micro import MICRO, PROJECT, SMALL, changed
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mtpd.detectors.weights import save_weights
from mtpd.errors import UserError
from mtpd.files import read_json
from mtpd.steps.check import check_detector, check_pair
from mtpd.steps.context import Context
from mtpd.steps.data import prepare_data

CLASSES = 6


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with the micro data set."""
    folder = tmp_path_factory.mktemp("prepared")
    path = folder / "micro.yaml"
    path.write_text(yaml.safe_dump(MICRO))
    context = Context.open(path, folder / "results")
    prepare_data(context.experiment, context.layout)
    return folder


@pytest.fixture
def context(prepared: Path, tmp_path: Path) -> Callable[..., Context]:
    """Open the micro experiment with changes, on the prepared data."""
    shutil.copytree(prepared / "results", tmp_path / "results", symlinks=True)

    def build(*changes: tuple[str, Any]) -> Context:
        path = tmp_path / "micro.yaml"
        path.write_text(yaml.safe_dump(changed(MICRO, *changes)))
        return Context.open(path, tmp_path / "results")

    return build


def weights(path: Path, classes: int = CLASSES, names: tuple[str, ...] | None = None) -> str:
    init_default_scope("mmdet")
    config = Config.fromfile(SMALL)
    config.model.bbox_head.num_classes = classes
    save_weights(path, MODELS.build(config.model), names or tuple("abcdef"))
    return str(path)


def refused(context: Context, match: str, name: str = "student") -> None:
    with pytest.raises(UserError, match=match) as caught:
        check_detector(context, name)
    assert "\n" not in str(caught.value)
    assert not context.layout.detector(name).check.exists()


def test_says_which_levels_each_pair_uses(context: Callable[..., Context]) -> None:
    checked = context()
    for name in ("student", "b"):
        check_detector(checked, name)
    check_pair(checked, "fm", "b")
    found = read_json(checked.layout.detector("b").check)
    assert [level["channels"] for level in found["levels"]] == [48] * 4
    assert found["parameters"] > 500_000
    paired = read_json(checked.layout.pair("fm", "b"))
    assert paired["strides"] == [8, 16, 32, 64]
    # The published weight for a one-stage student, which the YAML leaves out.
    assert paired["losses"] == [{"type": "feature_matching", "weight": 0.5}]


def test_teacher_with_other_classes(context: Callable[..., Context], tmp_path: Path) -> None:
    path = weights(tmp_path / "teacher.pth", names=("cat", "dog", "cow", "owl", "ape", "bee"))
    refused(context(("teachers.a.weights", path)), "other classes .*cat, dog", "a")


def test_teacher_without_class_names(
    context: Callable[..., Context], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "teacher.pth"
    weights(path)
    torch.save(torch.load(path, weights_only=True)["state_dict"], path)
    opened = context(("teachers.a.weights", str(path)))
    with caplog.at_level("WARNING"):
        check_detector(opened, "a")
    assert (
        "records no class names; by their number it fits, but whether its outputs are 6: ellipse, r"
        in caplog.text
    )


def test_teacher_with_another_number_of_classes(
    context: Callable[..., Context], tmp_path: Path
) -> None:
    path = weights(tmp_path / "teacher.pth", classes=80)
    refused(context(("teachers.a.weights", path)), "is for 80 classes, not 6", "a")


def test_levels_that_share_no_stride(context: Callable[..., Context]) -> None:
    options = {
        "model.neck.start_level": 0,
        "model.neck.end_level": 0,
        "model.neck.num_outs": 1,
        "model.neck.add_extra_convs": False,
    }
    refused(
        context(("teachers.a.options", options)),
        r"a training step fails \(AssertionError: in .*\.py, line \d+, ",
        "a",
    )
    options["model.bbox_head.anchor_generator.strides"] = [4]
    checked = context(("teachers.a.options", options))
    for name in ("student", "a"):
        check_detector(checked, name)
    with pytest.raises(UserError, match="student and a: their FPN levels share no stride"):
        check_pair(checked, "fm", "a")
    assert not checked.layout.pair("fm", "a").exists()


def test_gfl_as_released_and_what_it_cannot_do(context: Callable[..., Context]) -> None:
    gfl = str(PROJECT / "config" / "detectors" / "gfl_small.py")
    loss = {"type": "pgd", "reading": "release"}
    checked = context(
        ("student.config", gfl),
        ("teachers", {"a": {"config": gfl}}),
        ("methods.fm.losses", [loss]),
        ("methods.both", {"losses": [loss, {"type": "bckd"}]}),
        ("runs", {}),
        ("training.batch_size", 6),
    )
    for name in ("student", "a"):
        check_detector(checked, name)
    with pytest.raises(UserError, match=r"at most \d images on one GPU with GFL, not 6"):
        check_pair(checked, "fm", "a")
    with pytest.raises(UserError, match=r"methods\.both: reading: .* bckd needs true boxes"):
        check_pair(checked, "both", "a")


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (
            "pkd",
            r"student and b: pkd needs FPN levels of like channels \(are 32, .* and 48, ",
        ),
        ("pgd", r"student: RetinaHead: pgd cannot read this head \(it has 3 priors at"),
    ],
)
def test_losses_that_cannot_work_between_the_two(
    context: Callable[..., Context], loss: str, words: str
) -> None:
    checked = context(("methods.fm.losses", [{"type": loss}]))
    for name in ("student", "b"):
        check_detector(checked, name)
    with pytest.raises(UserError, match=words) as caught:
        check_pair(checked, "fm", "b")
    assert "\n" not in str(caught.value)
    assert not checked.layout.pair("fm", "b").exists()


def test_autoassign_in_mixed_precision(context: Callable[..., Context]) -> None:
    config = "mmdet::autoassign/autoassign_r50-caffe_fpn_1x_coco.py"
    checked = context(
        ("teachers.a.config", config), ("training.amp", True), ("resources.train.gpus", 1)
    )
    refused(checked, "a: training.amp: .*AutoAssignHead does not train in mixed precision", "a")


def test_a_method_s_own_schedule(context: Callable[..., Context]) -> None:
    optimizer = {"type": "Adamm", "lr": 0.1}
    checked = context(("methods.fm.training", {"optimizer": optimizer}))
    for name in ("student", "a"):
        check_detector(checked, name)
    with pytest.raises(
        UserError, match=r"methods\.fm: training.optimizer.type: there is no optimiser"
    ):
        check_pair(checked, "fm", "a")


def test_a_check_of_another_version(context: Callable[..., Context]) -> None:
    checked = context()
    for name in ("student", "a"):
        check_detector(checked, name)
    path = checked.layout.detector("a").check
    path.write_text('{"levels": [], "parameters": 1}')
    with pytest.raises(UserError, match=r"a/check.json: was written by another version; delete it"):
        check_pair(checked, "fm", "a")


def test_semantic_maps_that_no_data_has(context: Callable[..., Context]) -> None:
    checked = context(("teachers.a.config", "mmdet::htc/htc_r50_fpn_1x_coco.py"))
    refused(checked, "needs semantic segmentation maps to train", "a")


def test_options_that_do_not_build(context: Callable[..., Context]) -> None:
    changes = ("teachers.a.options", {"model.backbone.depth": 19})
    refused(context(changes), "a: .*cannot be built", "a")


def test_no_schedule(context: Callable[..., Context]) -> None:
    refused(context(("training.epochs", ...)), "number of epochs is not given; add training.epochs")
    refused(context(("training.optimizer", ...)), "optimi[sz]er.*; add training.optimizer")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("training.optimizer", {"type": "Adamm", "lr": 0.1}, "there is no optimiser 'Adamm'"),
        ("training.optimizer", {"type": "SGD", "lr": "fast"}, "schedule cannot be built"),
        ("student.options", {"modle.backbone.depth": 34}, "the config has no 'modle'"),
        ("student.options", {"model.type.x": 1}, "student: options: do not fit"),
        ("student.options", {"model.neck.in_channels": [1, 2, 3, 4]}, "cannot be built"),
        ("pipeline", {}, "has no train pipeline of its own; add pipeline.size"),
    ],
)
def test_settings_that_libraries_refuse(
    context: Callable[..., Context], key: str, value: Any, words: str
) -> None:
    refused(context((key, value)), words)


def test_a_step_that_fails_is_found_before_any_training(context: Callable[..., Context]) -> None:
    """The neck gives 48 channels to a head that takes 32: everything builds."""
    refused(
        context(("student.options", {"model.neck.out_channels": 48})),
        r"student: .*retinanet_small.py: a training step fails \(RuntimeError: .*32.*48",
    )


def test_a_loss_that_is_not_finite_is_found_too(
    context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = context(("student.options", {"model.bbox_head.loss_bbox.loss_weight": float("inf")}))
    refused(opened, r"a training step fails \(ValueError: loss_bbox is (inf|nan)\)")


@pytest.mark.parametrize(
    "config",
    ["mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py", "mmdet::yolox/yolox_tiny_8xb8-300e_coco.py"],
)
def test_schedules_of_epochs_that_count_iterations(
    context: Callable[..., Context], config: str
) -> None:
    options = {"model.backbone.init_cfg": None}
    training = {"epochs": 300, "batch_size": 2}
    opened = context(
        ("student.config", config), ("training", training), ("student.options", options)
    )
    check_detector(opened, "student")


def test_masks_that_the_data_have_not(context: Callable[..., Context]) -> None:
    opened = context(("student.config", "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py"))
    without = replace(opened.dataset, has_masks=False)
    without.save(opened.layout.dataset)
    refused(context(("student.config", opened.experiment.student.config)), "instance masks")


def test_the_schedule_of_the_config_is_stretched(context: Callable[..., Context]) -> None:
    config = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
    training = {"epochs": 24}
    opened = context(
        ("student.config", config),
        ("training", training),
        ("student.options", {"model.backbone.init_cfg": None}),
    )
    built = opened.training_config(
        "student", opened.experiment.detector_training("student"), opened.layout.detector("student")
    )
    warmup, decay = built.param_scheduler
    assert warmup["end"] == 500
    assert (decay["end"], decay["milestones"]) == (24, [16, 22])
    assert built.optim_wrapper.optimizer.lr == 0.01
    assert built.train_dataloader.batch_size == 2


def test_what_the_config_brings_along_is_kept(context: Callable[..., Context]) -> None:
    opened = context(("student.config", "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"))
    built = opened.training_config(
        "student", opened.experiment.detector_training("student"), opened.layout.detector("student")
    )
    hooks = [hook["type"] for hook in built.custom_hooks]
    assert "EMAHook" in hooks
    assert hooks[-2:] == ["HistoryHook", "DetectorWeightsHook"]
    assert built.optim_wrapper.paramwise_cfg


def test_data_that_were_never_prepared(context: Callable[..., Context]) -> None:
    unprepared = context()
    unprepared.layout.dataset.unlink()
    refused(unprepared, "run the data step first")


def test_a_malicious_teacher_does_not_execute(
    context: Callable[..., Context], tmp_path: Path
) -> None:
    mark = tmp_path / "ran"

    class Malicious:
        def __reduce__(self) -> Any:
            return Path.touch, (mark,)

    torch.save({"state_dict": {}, "meta": Malicious()}, tmp_path / "teacher.pth")
    refused(context(("teachers.a.weights", str(tmp_path / "teacher.pth"))), "could run code", "a")
    assert not mark.exists()


def test_mixed_precision_without_a_gpu(context: Callable[..., Context]) -> None:
    refused(context(("training.amp", True), ("resources.train.gpus", 0)), "needs a GPU, and")
    checked = context(("methods.fm.training", {"amp": True}), ("resources.train.gpus", 0))
    for name in ("student", "a"):
        check_detector(checked, name)
    with pytest.raises(UserError, match=r"methods\.fm: training\.amp: mixed precision needs"):
        check_pair(checked, "fm", "a")


def test_what_has_no_effect_is_named(
    context: Callable[..., Context], caplog: pytest.LogCaptureFixture
) -> None:
    opened = context(
        ("student.config", "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"),
        ("student.options", {"train_dataloader.num_workers": 8}),
    )
    with caplog.at_level("WARNING"):
        check_detector(opened, "student")
    assert "student: options.train_dataloader.num_workers has no effect" in caplog.text


@pytest.mark.parametrize(
    ("resources", "given", "workers"),
    [({"threads": 8, "gpus": 2}, None, 4), ({"threads": 8, "gpus": 0}, None, 0), ({}, 3, 3)],
)
def test_loading_processes(
    context: Callable[..., Context], resources: dict[str, int], given: int | None, workers: int
) -> None:
    opened = context(("resources", {"train": resources}), ("pipeline.workers", given))
    assert opened.pipeline("train").workers == workers
    assert opened.pipeline("infer").workers == (given or 0)
    config = opened.training_config(
        "student", opened.experiment.training, opened.layout.detector("student")
    )
    assert config.train_dataloader.num_workers == workers
    assert config.env_cfg.cudnn_benchmark


def test_a_last_batch_of_one_image_under_batch_norm(context: Callable[..., Context]) -> None:
    """On a map of one position a channel has one value then, and no variance."""
    neck = {"model.neck.norm_cfg": {"type": "BN"}, "model.neck.num_outs": 4}
    whole = [("student.options", neck), ("pipeline.size", [64, 64])]
    check_detector(context(*whole, ("training.batch_size", 4)), "student")
    with pytest.raises(UserError, match=r"the last batch of an epoch is one image, .*batch_size"):
        check_detector(context(*whole, ("training.batch_size", 7)), "student")


def test_a_missing_library_is_what_to_install(context: Callable[..., Context]) -> None:
    def pipeline(*_: Any, **__: Any) -> None:
        raise ImportError("albumentations is not installed")

    opened = context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mtpd.steps.check.DATASETS.build", pipeline)
        refused(opened, r"fails on an image \(albumentations is not .*; install what is")


def test_several_data_sets_in_a_config(context: Callable[..., Context], tmp_path: Path) -> None:
    own = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
    both = "dict(type='CocoDataset'), dict(type='CocoDataset')"
    path = tmp_path / "concat.py"
    path.write_text(
        f"_base_ = '{own}'\ntrain_dataloader = dict(dataset=dict("
        f"_delete_=True, type='ConcatDataset', datasets=[{both}]))\n"
    )
    changes = [("student.config", str(path)), ("pipeline", {})]
    refused(context(*changes), r"its train data are several data sets \(ConcatDataset\)")
