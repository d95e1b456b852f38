"""Named augmentations beyond the flip, of MMDetection's own transforms.

Whatever is drawn, an image never becomes larger than ``pipeline.size``: a part of it is cut out
first, so that its objects become larger, and then all is fitted into a share of that size. So a
preset needs no more memory than the plain pipeline, for images of either orientation.
"""

from __future__ import annotations

from typing import Any

from mtpd.settings.experiment import ImagePipeline

Transforms = list[dict[str, Any]]

PRESETS: dict[str, dict[str, Any]] = {
    "light": {
        "smallest_crop": 0.7,
        "scales": (0.8, 1.0),
        # The other one below also swaps channels.
        "colours": {"type": "YOLOXHSVRandomAug"},
    },
    "strong": {
        "smallest_crop": 0.3,
        "scales": (0.5, 1.0),
        "colours": {"type": "PhotoMetricDistortion"},
    },
}
"""Smallest side of a crop and range of scales, as shares, and what changes the colours, by as much
as is MMDetection's default."""


def augmented(pipeline: ImagePipeline) -> Transforms:
    """What brings an image and its annotations to ``pipeline.size``, its colours changed or not."""
    size = {"scale": pipeline.size, "keep_ratio": True}
    flip = {"type": "RandomFlip", "prob": pipeline.flip}
    if pipeline.augment is None:
        return [{"type": "Resize", **size}, flip]
    preset = PRESETS[pipeline.augment]
    # Without thresholds of IoU it is left as it is in half of the cases, and otherwise cut so that
    # the centre of a box stays inside. Boxes whose centre is cut off are left out.
    crop = {"type": "MinIoURandomCrop", "min_ious": (), "min_crop_size": preset["smallest_crop"]}
    jitter = {"type": "RandomResize", "ratio_range": preset["scales"], **size}
    # The flip comes last: a flipped image is a view, which OpenCV cannot change in place.
    return [crop, jitter, dict(preset["colours"]), flip]
