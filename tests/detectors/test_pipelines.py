"""The sizes of the images that reach a detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from micro import PROJECT

from mtpd.detectors.pipelines import set_pipelines
from mtpd.detectors.reading import read_config
from mtpd.errors import UserError
from mtpd.experiment.load import load_experiment
from mtpd.settings.experiment import ImagePipeline

PAPER = PROJECT / "config" / "detectors" / "paper"


def test_a_scale_changes_every_size_and_nothing_else() -> None:
    config = read_config(str(PAPER / "retinanet_swin_t_ms_crop_3x.py"))
    before = config.copy()
    set_pipelines(config, ImagePipeline(scale=0.5), masks=False)
    (resize,), (enlarge, crop, again) = config.train_pipeline[3].transforms
    assert resize.scales[0] == (240, 666)  # half of 1333, rounded to even
    assert enlarge.scales == [(200, 666), (250, 666), (300, 666)]
    assert crop.crop_size == (192, 300)
    assert again == resize
    assert config.train_pipeline[2] == before.train_pipeline[2]
    assert config.test_pipeline[1].scale == (666, 400)
    assert config.test_pipeline[1].keep_ratio


def test_ranges_of_sizes_stay_tuples() -> None:
    config = read_config(str(PAPER / "gfl_r101_ms_3x.py"))
    set_pipelines(config, ImagePipeline(scale=0.24), masks=False)
    assert config.train_pipeline[2].scale == [(320, 115), (320, 230)]
    assert all(isinstance(scale, tuple) for scale in config.train_pipeline[2].scale)


def test_a_scale_beside_a_size_is_refused(write_experiment: Callable[..., Path]) -> None:
    path = write_experiment(("pipeline", {"size": [64, 64], "scale": 0.5}))
    with pytest.raises(UserError, match=r"pipeline.scale: changes the detectors' sizes; give it"):
        load_experiment(path)
