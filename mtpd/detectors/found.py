"""What a detector has found in one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch


@dataclass(frozen=True)
class Found:
    """The objects of one image, highest score first.

    Attributes:
        boxes: Corners x1, y1, x2, y2 in pixels of the image as it was given, float32 (N, 4).
        scores: From 0 to 1, float32 (N).
        labels: Index of each object's class, int64 (N).
        masks: Of each object, bool (N, height, width); None: the detector predicts none.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def of(cls, sample: Any) -> Found:
        """From the ``DetDataSample`` that MMDetection's detectors predict."""
        found = sample.pred_instances
        masks = found.masks.cpu().numpy().astype(bool) if "masks" in found else None
        boxes, scores = (found[key].detach().cpu().float().numpy() for key in ("bboxes", "scores"))
        return cls(boxes, scores, found.labels.cpu().numpy().astype(np.int64), masks)

    def above(self, threshold: float) -> Found:
        """Those whose score is ``threshold`` or more."""
        kept = self.scores >= threshold
        masks = None if self.masks is None else self.masks[kept]
        return replace(
            self,
            boxes=self.boxes[kept],
            scores=self.scores[kept],
            labels=self.labels[kept],
            masks=masks,
        )

    def sample(self, image_id: int) -> Mapping[str, Any]:
        """In the form that evaluations take: ``img_id``, and ``pred_instances`` of tensors."""
        instances = {"bboxes": self.boxes, "scores": self.scores, "labels": self.labels}
        if self.masks is not None:
            instances["masks"] = self.masks
        tensors = {key: torch.from_numpy(value) for key, value in instances.items()}
        return {"img_id": image_id, "pred_instances": tensors}


class Detector(Protocol):
    """What finds objects, in PyTorch or in another way."""

    classes: tuple[str, ...]

    @property
    def has_masks(self) -> bool:
        """Whether it predicts instance masks."""

    def predict(self, images: Sequence[np.ndarray]) -> list[Found]:
        """Find objects in images, RGB uint8 (height, width, 3), of any sizes."""
