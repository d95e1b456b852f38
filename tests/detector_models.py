"""Small detectors and batches for tests of the distiller."""

from __future__ import annotations

from typing import Any

import torch
from micro import SMALL
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config, ConfigDict
from mmengine.structures import InstanceData


def retinanet(**options: Any) -> ConfigDict:
    """Model config of the small RetinaNet for 3 classes, with ``options`` at dotted keys."""
    config = Config.fromfile(SMALL)
    config.merge_from_dict({"model.bbox_head.num_classes": 3})
    config.merge_from_dict({key.replace("__", "."): value for key, value in options.items()})
    return config.model


def retinanet_of_width(width: int) -> ConfigDict:
    """The small RetinaNet with FPN maps of ``width`` channels."""
    return retinanet(model__neck__out_channels=width, model__bbox_head__in_channels=width)


def mask_rcnn(family: str = "mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py") -> ConfigDict:
    """MMDetection's own Mask R-CNN for 3 classes, with a ResNet-18 and narrow heads."""
    from mtpd.detectors.sources import config_file

    config = Config.fromfile(config_file(f"mmdet::{family}"))
    config.merge_from_dict(
        {
            "model.backbone.depth": 18,
            "model.backbone.init_cfg": None,
            "model.backbone.norm_eval": False,
            "model.backbone.frozen_stages": -1,
            "model.neck.in_channels": [64, 128, 256, 512],
            "model.neck.out_channels": 32,
            "model.rpn_head.in_channels": 32,
            "model.rpn_head.feat_channels": 32,
            "model.roi_head.bbox_roi_extractor.out_channels": 32,
            "model.roi_head.mask_roi_extractor.out_channels": 32,
            "model.roi_head.bbox_head.in_channels": 32,
            "model.roi_head.bbox_head.fc_out_channels": 64,
            "model.roi_head.bbox_head.num_classes": 3,
            "model.roi_head.mask_head.in_channels": 32,
            "model.roi_head.mask_head.conv_out_channels": 32,
            "model.roi_head.mask_head.num_classes": 3,
        }
    )
    return config.model


SHIPPED_DENSE = {
    "FCOSHead": "fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py",
    "AutoAssignHead": "autoassign/autoassign_r50-caffe_fpn_1x_coco.py",
    "ATSSHead": "atss/atss_r50_fpn_1x_coco.py",
    "GFLHead": "gfl/gfl_r50_fpn_1x_coco.py",
    "DDODHead": "ddod/ddod_r50_fpn_1x_coco.py",
}
"""A config of MMDetection's for every dense head with one prior at a position that is read."""
RETINANET = "retinanet/retinanet_r50_fpn_1x_coco.py"
"""That of the head with nine."""


def shipped(config: str, **options: Any) -> ConfigDict:
    """Model config of a detector as MMDetection ships it, with a ResNet-18 and ``options``."""
    from mtpd.detectors.sources import config_file

    loaded = Config.fromfile(config_file(f"mmdet::{config}"))
    small = {
        "model.backbone.depth": 18,
        "model.backbone.init_cfg": None,
        "model.backbone.style": "pytorch",
        "model.neck.in_channels": [64, 128, 256, 512],
    }
    loaded.merge_from_dict({**small, **options})
    return loaded.model


def batch(images: int = 2, size: int = 64, seed: int = 0, boxes: int = 3) -> dict[str, Any]:
    """Raw batch as a data loader gives it: uint8 images (3, H, W) and samples with masks."""
    generator = torch.Generator().manual_seed(seed)
    inputs, samples = [], []
    for _ in range(images):
        inputs.append(
            torch.randint(0, 256, (3, size, size), generator=generator, dtype=torch.uint8)
        )
        corner = torch.rand(boxes, 2, generator=generator) * (size / 2)
        extent = 8 + torch.rand(boxes, 2, generator=generator) * (size / 2 - 8)
        rectangles = torch.cat([corner, corner + extent], dim=1)
        masks = torch.zeros(boxes, size, size, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, rectangles.int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = 1
        sample = DetDataSample(
            metainfo={
                "img_shape": (size, size),
                "ori_shape": (size, size),
                "scale_factor": (1.0, 1.0),
                "img_id": 0,
            }
        )
        sample.gt_instances = InstanceData(
            bboxes=rectangles,
            labels=torch.randint(0, 3, (boxes,), generator=generator),
            masks=BitmapMasks(masks.numpy(), size, size),
        )
        samples.append(sample)
    return {"inputs": inputs, "data_samples": samples}
