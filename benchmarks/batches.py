"""Random batches, as a data loader gives them."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

BOXES = 5


def random_batch(images: int, height: int, width: int) -> dict[str, Any]:
    """Random images (3, height, width) with boxes of the first class."""
    generator = torch.Generator().manual_seed(0)
    corner_of = torch.tensor([width, height]) / 2
    inputs, samples = [], []
    for number in range(images):
        shape = (3, height, width)
        inputs.append(torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8))
        corner = torch.rand(BOXES, 2, generator=generator) * corner_of
        about = {"img_id": number, "img_shape": (height, width), "flip": False}
        sample = DetDataSample(metainfo=about)
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([corner, corner + corner_of * 2 / 3], dim=1),
            labels=torch.zeros(BOXES, dtype=torch.long),
        )
        samples.append(sample)
    return {"inputs": inputs, "data_samples": samples}
