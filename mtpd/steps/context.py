"""What every step starts from: the experiment, where its results lie, and its prepared data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from mmengine.config import Config

from mtpd.data.dataset import Dataset
from mtpd.detectors.loaders import data_config
from mtpd.detectors.own_config import base_config
from mtpd.detectors.runtime import runtime_config
from mtpd.detectors.schedule import schedule_config
from mtpd.digests import Digests
from mtpd.experiment.load import open_experiment
from mtpd.experiment.making import identity_of
from mtpd.experiment.recipes import Recipes, Task
from mtpd.layout import Layout, ModelFolder
from mtpd.settings.data import keeps_empty_images
from mtpd.settings.experiment import Experiment, ImagePipeline, Training
from mtpd.settings.runtime import Zoo, workflow_settings
from mtpd.store import Store
from mtpd.zoo.pretrained import use_cached
from mtpd.zoo.sources import Weights, given_weights


@dataclass(frozen=True)
class Context:
    """An opened experiment."""

    experiment: Experiment
    layout: Layout

    @classmethod
    def open(cls, experiment: Path | str, results: Path | None = None) -> Context:
        """Read an experiment, given by its YAML's path or its name.

        Its results lie below ``results``, or else where ``config/config.yaml`` says.
        """
        return cls(*open_experiment(experiment, results))

    @cached_property
    def store(self) -> Store:
        """Where finished results and states of interrupted trainings are kept."""
        return Store(workflow_settings().store_for(self.layout.results))

    @cached_property
    def dataset(self) -> Dataset:
        """The data set that the data step prepared."""
        return Dataset.load(self.layout.dataset, self.experiment.data)

    @property
    def has_one_size(self) -> bool:
        """Whether all training images reach the detectors in one size."""
        one = self.dataset.splits["train"].image_size is not None
        return one and self.experiment.pipeline.size is not None

    def pipeline(self, kind: Literal["train", "infer"]) -> ImagePipeline:
        """The experiment's, with as many loading processes as a job's resources allow.

        If the experiment gives a number, with that.
        """
        given, resources = self.experiment.pipeline, getattr(self.experiment.resources, kind)
        if given.workers is not None:
            return given
        workers = resources.threads // resources.gpus if resources.gpus else 0
        return given.model_copy(update={"workers": workers})

    @cached_property
    def zoo(self) -> Zoo:
        """Where fetched files lie."""
        return workflow_settings().zoo

    @cached_property
    def recipes(self) -> Recipes:
        """What each job makes its results from."""
        return Recipes(self.experiment, self.layout, self.zoo, Digests())

    def given_weights(self, name: str) -> Weights | None:
        """The file of the detector's ``weights`` or ``start_from``; None: not given."""
        return given_weights(self.experiment.detector(name), self.zoo)

    def train(
        self,
        config: Config,
        task: Task,
        folder: ModelFolder,
        model_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Run the training that ``config`` describes, as the job ``task``.

        ``model_options`` are arguments of the model that are no part of the written config.

        Raises:
            Interrupted: A signal has asked the job to end.
        """
        from mtpd.detectors.train import run_training

        identity = identity_of(self.recipes, task)
        states = self.store.states(identity)
        run_training(config, folder, self.experiment.saving, identity, states, model_options)

    def training_config(
        self, name: str, training: Training, folder: ModelFolder, seed: int | None = None
    ) -> Config:
        """Config that trains the detector ``name`` by ``training`` into ``folder``.

        ``seed`` takes the place of the experiment's.
        """
        config = self.detector_config(name, training, seed)
        self.set_training(config, name, training, folder, seed)
        return config

    def detector_config(self, name: str, training: Training, seed: int | None = None) -> Config:
        """Config of the detector ``name`` with the experiment's data."""
        config = base_config(name, self.experiment.detector(name), self.dataset)
        data_config(
            config,
            self.dataset,
            self.pipeline("train"),
            training,
            self._seed(seed),
            keeps_empty=keeps_empty_images(self.experiment.data),
        )
        return config

    def set_training(
        self,
        config: Config,
        name: str,
        training: Training,
        folder: ModelFolder,
        seed: int | None = None,
    ) -> None:
        """Make a training of what :meth:`detector_config` gave."""
        use_cached(config.model, self.zoo)
        schedule_config(config, name, training)
        runtime_config(config, folder, self._seed(seed))
        # Where all images have one size, the time that cuDNN takes to compare its ways pays.
        config.env_cfg.cudnn_benchmark = self.has_one_size

    def _seed(self, seed: int | None) -> int:
        return self.experiment.seed if seed is None else seed
