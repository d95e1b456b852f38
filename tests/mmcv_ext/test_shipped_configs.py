"""Every detector that MMDetection ships in these families builds without a compiled mmcv."""

from pathlib import Path

import mmdet
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config

CONFIGS = Path(mmdet.__file__).parent / ".mim" / "configs"
FAMILIES = (
    "atss",
    "autoassign",
    "cascade_rcnn",
    "dcn",
    "dcnv2",
    "ddod",
    "fcos",
    "gfl",
    "htc",
    "mask_rcnn",
    "reppoints",
    "retinanet",
    "swin",
)

# Config name to the reason why it cannot be built.
KNOWN_FAILURES: dict[str, str] = {}


def shipped_models(family):
    """Name and model of each config of a family; a config without a model is a part of others."""
    for path in sorted((CONFIGS / family).glob("*.py")):
        config = Config.fromfile(path)
        if "model" in config:
            yield f"{family}/{path.name}", config.model


@pytest.mark.parametrize("family", FAMILIES)
def test_every_detector_of_the_family_builds(family):
    register_all_modules(init_default_scope=True)
    # Random numbers for full-size weights take most of the time, and the meta device draws none;
    # only Swin reads the value of a tensor while it is built.
    device = "cpu" if family == "swin" else "meta"
    built, failures = [], {}
    for name, model in shipped_models(family):
        try:
            with torch.device(device):
                built.append(MODELS.build(model))
        except Exception as error:
            failures[name] = f"{type(error).__name__}: {error}"
    assert failures.keys() == {name for name in KNOWN_FAILURES if name.startswith(f"{family}/")}, (
        failures
    )
    assert built
