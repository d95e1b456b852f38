"""What a detector's config says and has no effect here: named, so that nobody relies on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mmengine.config import Config

from mtpd.settings.experiment import Training

USED = (
    "model", "optim_wrapper", "param_scheduler", "custom_hooks", "custom_imports",
    "train_cfg.max_epochs", "train_dataloader.batch_size", "find_unused_parameters",
    "model_wrapper_cfg",
)  # fmt: skip
"""Parts of a config that take effect here."""

PIPELINES = ("train_dataloader.dataset", "test_dataloader.dataset")
"""Parts that do so where the experiment has no ``pipeline.size``; of data sets it is the pipelines,
and repetitions."""

SAMPLERS = ("DefaultSampler", "AspectRatioBatchSampler")
REPETITIONS = ("RepeatDataset", "MultiImageMixDataset")


def unused(
    config: Config,
    options: Iterable[str],
    training: Training,
    images: int,
    own_pipelines: bool = True,
) -> list[str]:
    """One sentence for everything that has no effect, or another one than it seems.

    Args:
        config: The detector's own, with the experiment's options.
        options: Dotted keys of the experiment's options.
        training: As it applies to the detector.
        images: Of one step, all GPUs together.
        own_pipelines: Whether images go through the config's own pipelines.
    """
    return [
        *_of_options(options, USED + PIPELINES if own_pipelines else USED),
        *_of_data(config),
        *_of_weights(config),
        *_of_rate(config, training, images),
    ]


def _of_options(options: Iterable[str], used: Iterable[str]) -> Iterator[str]:
    for option in options:
        if ".filter_cfg" in option:
            yield f"options.{option} has no effect: data.empty_images says what is trained on"
        elif not any(f"{option}.".startswith(f"{part}.") for part in used):
            yield f"options.{option} has no effect: use the experiment's own settings"


def _of_data(config: Config) -> Iterator[str]:
    loader = config.get("train_dataloader", {})
    dataset = loader.get("dataset", {})
    while dataset:
        kind = str(dataset.get("type", ""))
        if "dataset" in dataset and kind not in REPETITIONS:
            yield f"{kind} around the training data is left out: every image comes once an epoch"
        dataset = dataset.get("dataset", {})
    for key in ("sampler", "batch_sampler"):
        kind = str((loader.get(key) or {}).get("type", SAMPLERS[0]))
        if kind not in SAMPLERS:
            yield f"{kind} is left out: images come in random order, in batches of like shape"


def _of_weights(config: Config) -> Iterator[str]:
    if config.get("load_from"):
        yield f"load_from ({config.load_from}) is not used: give it as start_from"


def _of_rate(config: Config, training: Training, images: int) -> Iterator[str]:
    """A learning rate that is made for another batch than the one at hand."""
    base = config.get("auto_scale_lr", {}).get("base_batch_size")
    own_rate = training.optimizer is None and training.lr_for_batch is None
    if base is not None and own_rate and base != images:
        rate = config.get("optim_wrapper", {}).get("optimizer", {}).get("lr")
        yield (
            f"its learning rate ({rate}) is made for steps of {base} images, and here they have "
            f"{images}: set training.lr_for_batch: {base}, and the rate follows"
        )
