"""What stands beside every figure: seed, versions and the settings that it was made with."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

import torch

import mtpd
from mtpd.files import digest_of

PACKAGES = ("mmdet", "mmengine", "torchvision", "faster-coco-eval", "numpy")


def provenance(seed: int, settings: Any) -> dict[str, Any]:
    """JSON-ready record of the seed, the versions and a hash of ``settings``."""
    versions = {"mtpd": mtpd.__version__, "python": platform.python_version()}
    versions["torch"] = torch.__version__
    versions |= {package: version(package) for package in PACKAGES}
    return {"seed": seed, "config_hash": digest_of(settings), "versions": versions}
