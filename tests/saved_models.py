"""Small detectors of random weights in folders like those of results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detector_models import SHIPPED_DENSE, shipped
from micro import PROJECT, SMALL
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from PIL import Image

from mtpd.detectors.weights import save_weights
from mtpd.layout import ModelFolder

CLASSES = ("disc", "box", "star")
CONFIGS = PROJECT / "config" / "detectors"


def _own(file: str | Path, *without: str) -> ConfigDict:
    model = Config.fromfile(CONFIGS / file).model
    for key in without:
        del model.roi_head[key]
    return model


def _narrow(head: str) -> ConfigDict:
    narrow = {
        # Group normalisation in 32 groups needs two channels for each, where maps are of one pixel.
        "model.neck.out_channels": 64,
        "model.bbox_head.in_channels": 64,
        "model.bbox_head.feat_channels": 64,
        "model.bbox_head.stacked_convs": 2,
    }
    return shipped(SHIPPED_DENSE[head], **narrow)


def _faster_rcnn() -> ConfigDict:
    model = _own("mask_rcnn_small.py", "mask_head", "mask_roi_extractor")
    model.type = "FasterRCNN"
    return model


KINDS: dict[str, Callable[[], ConfigDict]] = {
    "RetinaNet": lambda: _own(SMALL),
    "RetinaNet with Swin": lambda: _own("retinanet_swin_w20.py"),
    "FCOS": lambda: _narrow("FCOSHead"),
    "ATSS": lambda: _narrow("ATSSHead"),
    "GFL": lambda: _own("gfl_small.py"),
    "Faster R-CNN": _faster_rcnn,
    "Mask R-CNN": lambda: _own("mask_rcnn_small.py"),
}
"""Model configs by the kind of detector."""


def config_of(kind: str, size: tuple[int, int] = (96, 64)) -> Config:
    """Config of a small detector of ``kind`` for :data:`CLASSES`, images fitted into ``size``."""
    from mtpd.detectors.own_config import set_classes

    model = KINDS[kind]()
    set_classes(model, len(CLASSES))
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "scale": size, "keep_ratio": True},
        {
            "type": "PackDetInputs",
            "meta_keys": ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
        },
    ]
    dataset = {"type": "CocoDataset", "metainfo": {"classes": CLASSES}, "pipeline": pipeline}
    return Config({"model": model, "test_dataloader": {"dataset": dataset}})


def save_detector(folder: Path, kind: str, seed: int = 0, **options: Any) -> ModelFolder:
    """A detector of random weights that finds something in every image, as results hold one.

    Random weights alone are sure of nothing, and all scores are alike. So batch normalisation
    gets the statistics of noise, and what predicts classes larger weights.
    """
    config = config_of(kind, **options)
    init_default_scope("mmdet")
    torch.manual_seed(seed)
    model = MODELS.build(config.model)
    model.train()
    with torch.no_grad():
        for _ in range(20):
            model.extract_feat(torch.randn(4, 3, 64, 96))
        for name, parameter in model.named_parameters():
            if name.endswith("weight") and any(part in name for part in CLASS_LAYERS):
                parameter.normal_(0, 4 * float(parameter[0].numel()) ** -0.5)
            elif name.endswith("bias") and any(part in name for part in CLASS_LAYERS):
                parameter.fill_(-1.0)
    saved = ModelFolder(folder, folder / "model.pth")
    folder.mkdir(parents=True, exist_ok=True)
    config.dump(str(saved.config))
    save_weights(saved.weights, model.eval(), CLASSES)
    return saved


CLASS_LAYERS = ("retina_cls", "conv_cls", "atss_cls", "gfl_cls", "fc_cls", "rpn_cls", "conv_logits")


def save_images(folder: Path, count: int = 4) -> list[Path]:
    """Images of coloured rectangles on noise, of several sizes."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i in range(count):
        height, width = ((64, 96), (128, 192), (90, 60), (64, 96))[i % 4]
        image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for _ in range(3):
            y, x = random.integers(0, (height - 20, width - 20))
            image[y : y + 20, x : x + 20] = random.integers(0, 256, 3)
        paths.append(folder / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    return paths
