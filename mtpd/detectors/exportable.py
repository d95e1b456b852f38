"""A detector as one function of tensors, from pixels to boxes, which exporters can follow.

MMDetection's own prediction goes through Python objects, and its outputs have as many rows as there
are objects. Here every step has outputs of a fixed number of rows; those without an object have the
label -1. The steps are MMDetection's and give the same boxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmdet.models.backbones.swin import ShiftWindowMSA
from mmdet.models.dense_heads import ATSSHead, FCOSHead, GFLHead, RetinaHead
from mmdet.models.roi_heads import StandardRoIHead
from torch import Tensor, nn
from torchvision.ops import roi_align

from mtpd.detectors.export_ops import nms_mask
from mtpd.errors import UserError

DENSE = (RetinaHead, FCOSHead, ATSSHead, GFLHead)
KINDS = "RetinaNet, FCOS, ATSS, GFL, Faster R-CNN and Mask R-CNN"
NO_LABEL = -1


@dataclass(frozen=True)
class Candidates:
    """Boxes that may be objects, as many in every image.

    Attributes:
        boxes: Corners in pixels (B, N, 4).
        scores: (B, N); -1 where there is no candidate.
        labels: Class, or level, of each (B, N).
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class ExportableDetector(nn.Module):
    """From images and their sizes to boxes, scores, labels and, with a mask head, masks.

    Args:
        model: An MMDetection detector.

    Raises:
        UserError: It is of another kind than those that can be exported.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        preprocessor = model.data_preprocessor
        self.divisor = max(int(preprocessor.pad_size_divisor), 1)
        # Images come as RGB; some models want them the other way round.
        self.flip = bool(preprocessor._enable_normalize) and not preprocessor._channel_conversion
        self.is_two_stage = hasattr(model, "roi_head")
        check_kind(model)

    @property
    def has_masks(self) -> bool:
        """Whether there are masks among the outputs."""
        return self.is_two_stage and self.model.roi_head.with_mask

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Find objects.

        Args:
            images: RGB, uint8 (B, 3, H, W): each at the top left; what is beside it
                counts for nothing.
            sizes: Height and width of each of them, int64 (B, 2).

        Returns:
            Boxes (B, N, 4) in pixels of ``images``, scores (B, N), labels (B, N; -1: no object),
            highest score first, and masks (B, N, h, w), each for the area of its box, from 0 to 1.
        """
        maps = self.model.extract_feat(self._normalised(images, sizes))
        if self.is_two_stage:
            return self._two_stage(maps, sizes)
        head = self.model.bbox_head
        found = _dense(head, maps, sizes)
        return _best(found, head.test_cfg.nms, head.test_cfg.max_per_img)

    def _normalised(self, images: Tensor, sizes: Tensor) -> Tensor:
        preprocessor = self.model.data_preprocessor
        pixels = images.float()
        if self.flip:
            pixels = pixels.flip(1)
        if preprocessor._enable_normalize:
            pixels = (pixels - preprocessor.mean) / preprocessor.std
        height, width = images.shape[-2:]
        rows = torch.arange(height, device=images.device) < sizes[:, :1]
        columns = torch.arange(width, device=images.device) < sizes[:, 1:]
        inside = rows[:, None, :, None] & columns[:, None, None, :]
        return torch.where(inside, pixels, float(preprocessor.pad_value))

    def _two_stage(self, maps: Any, sizes: Tensor) -> tuple[Tensor, ...]:
        rpn, head = self.model.rpn_head, self.model.roi_head
        found = _levels(rpn, maps, sizes)
        proposals, scores, _ = _best(found, rpn.test_cfg.nms, rpn.test_cfg.max_per_img)
        features = _regions(head.bbox_roi_extractor, maps, proposals)
        if head.with_shared_head:
            features = head.shared_head(features)
        logits, deltas = head.bbox_head(features)
        settings = head.test_cfg
        refined = _refined(head.bbox_head, proposals, scores > 0, logits, deltas, sizes, settings)
        boxes, scores, labels = _best(refined, settings.nms, settings.max_per_img)
        if not head.with_mask:
            return boxes, scores, labels
        masks = head.mask_head(_regions(head.mask_roi_extractor, maps, boxes))
        if not head.mask_head.class_agnostic:
            own = labels.clamp(min=0).reshape(-1, 1, 1, 1).expand(-1, 1, *masks.shape[-2:])
            masks = masks.gather(1, own)
        return boxes, scores, labels, masks.sigmoid().reshape(*labels.shape, *masks.shape[-2:])


def has_windows(model: nn.Module) -> bool:
    """Whether the backbone looks at windows, as Swin does."""
    return any(isinstance(module, ShiftWindowMSA) for module in model.modules())


@contextmanager
def whole_windows() -> Iterator[None]:
    """Let Swin put its windows together by whole numbers.

    Its own way divides by floating point, which fixes the number of images in a graph.
    """
    own = ShiftWindowMSA.window_reverse
    ShiftWindowMSA.window_reverse = _put_together
    try:
        yield
    finally:
        ShiftWindowMSA.window_reverse = own


def _put_together(attention: Any, windows: Tensor, height: int, width: int) -> Tensor:
    """Windows (B·N, size, size, C), row by row, as maps (B, height, width, C)."""
    size, channels = attention.window_size, windows.shape[-1]
    grid = windows.view(-1, height // size, width // size, size, size, channels)
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, channels)


def check_kind(model: Any) -> None:
    """Refuse detectors that cannot be exported.

    Raises:
        UserError: It is one.
    """
    name = type(model).__name__
    remedy = f"these can be exported: {KINDS}"
    if hasattr(model, "roi_head"):
        is_known = type(model.roi_head) is StandardRoIHead
        settings = [model.rpn_head.test_cfg, model.roi_head.test_cfg]
        head = model.roi_head
    else:
        head = getattr(model, "bbox_head", None)
        is_known = type(head) in DENSE
        settings = [model.bbox_head.test_cfg] if is_known else []
    if not is_known:
        raise UserError(name, f"its head ({type(head).__name__}) cannot be exported", remedy)
    for part in settings:
        kind = part.nms.get("type", "nms")
        if kind != "nms":
            problem = f"its test_cfg suppresses boxes by {kind}, which cannot be exported"
            raise UserError(name, problem, "set nms.type: nms in the config's test_cfg")


def _dense(head: Any, maps: Any, sizes: Tensor) -> Candidates:
    """Candidates of a head that predicts a score for every class at every place."""
    scores, deltas, *factors = head(maps)
    settings = head.test_cfg
    parts = []
    for level, priors in enumerate(_priors(head, scores)):
        regression = deltas[level].permute(0, 2, 3, 1)
        if isinstance(head, GFLHead):
            stride = head.prior_generator.strides[level][0]
            regression = head.integral(regression) * stride
            priors = head.anchor_center(priors)
        regression = regression.reshape(sizes.shape[0], -1, 4)
        certain = _probabilities(head, scores[level])
        classes = certain.shape[-1]
        chosen, places = _top(certain.flatten(1), settings.get("nms_pre", -1))
        rows = places // classes
        boxes = _decoded(head.bbox_coder, priors[rows], _rows(regression, rows), sizes)
        there = chosen > settings.get("score_thr", 0)
        if factors:
            factor = factors[0][level].permute(0, 2, 3, 1).flatten(1).sigmoid()
            chosen = chosen * factor.gather(1, rows)
        there = there & _is_large(boxes, settings)
        parts.append((boxes, torch.where(there, chosen, -1.0), places % classes))
    return _joined(parts)


def _levels(rpn: Any, maps: Any, sizes: Tensor) -> Candidates:
    """Candidates of a region proposal network; their labels are the levels."""
    scores, deltas = rpn(maps)
    settings = rpn.test_cfg
    parts = []
    for level, priors in enumerate(_priors(rpn, scores)):
        certain = _probabilities(rpn, scores[level])[..., 0]
        chosen, rows = _top(certain, settings.get("nms_pre", -1))
        regression = deltas[level].permute(0, 2, 3, 1).reshape(sizes.shape[0], -1, 4)
        boxes = _decoded(rpn.bbox_coder, priors[rows], _rows(regression, rows), sizes)
        there = (chosen > 0) & _is_large(boxes, settings)
        parts.append((boxes, torch.where(there, chosen, -1.0), torch.full_like(rows, level)))
    return _joined(parts)


def _refined(
    head: Any,
    proposals: Tensor,
    is_there: Tensor,
    logits: Tensor,
    deltas: Tensor,
    sizes: Tensor,
    settings: Any,
) -> Candidates:
    """Every proposal (B, P, 4) as every class, by a box head's outputs (B x P rows)."""
    images, number = proposals.shape[:2]
    scores = logits.softmax(-1)[:, :-1].reshape(images, number, -1)
    classes = scores.shape[-1]
    own = 1 if head.reg_class_agnostic else classes
    regression = deltas.reshape(images, number * own, 4)
    starts = proposals[:, :, None].expand(-1, -1, own, -1).reshape(images, -1, 4)
    boxes = _decoded(head.bbox_coder, starts, regression, sizes)
    boxes = boxes.reshape(images, number, own, 4).expand(-1, -1, classes, -1)
    there = (scores > settings.score_thr) & is_there[..., None]
    labels = torch.arange(classes, device=scores.device).expand(images, number, -1)
    kept = torch.where(there, scores, -1.0)
    return Candidates(boxes.reshape(images, -1, 4), kept.flatten(1), labels.reshape(images, -1))


def _priors(head: Any, scores: Any) -> Any:
    shapes = [level.shape[-2:] for level in scores]
    first = scores[0]
    return head.prior_generator.grid_priors(shapes, dtype=first.dtype, device=first.device)


def _probabilities(head: Any, scores: Tensor) -> Tensor:
    """Scores of a level (B, places, classes) from a head's output."""
    rows = scores.permute(0, 2, 3, 1).reshape(scores.shape[0], -1, head.cls_out_channels)
    return rows.sigmoid() if head.use_sigmoid_cls else rows.softmax(-1)[..., :-1]


def _top(scores: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The highest of scores (B, N) and their places; as many from every map, -1 where it has fewer.

    So that the number does not depend on the size of the images.
    """
    number = number if number > 0 else 1000
    padded = torch.cat([scores, scores.new_full((scores.shape[0], number), -1.0)], 1)
    chosen, places = padded.topk(number)
    return chosen, places.clamp(max=scores.shape[1] - 1)


def _rows(values: Tensor, rows: Tensor) -> Tensor:
    return values.gather(1, rows[..., None].expand(-1, -1, values.shape[-1]))


def _decoded(coder: Any, priors: Tensor, deltas: Tensor, sizes: Tensor) -> Tensor:
    """Boxes (B, N, 4) of priors and regressions of the same shape, cut to the images."""
    shape = deltas.shape
    boxes = coder.decode(priors.reshape(-1, priors.shape[-1]), deltas.reshape(-1, 4))
    boxes = boxes.reshape(shape)
    if not coder.clip_border:
        return boxes
    limits = sizes.flip(1).repeat(1, 2)[:, None].to(boxes.dtype)
    return torch.minimum(boxes.clamp(min=0), limits)


def _is_large(boxes: Tensor, settings: Any) -> Tensor:
    smallest = settings.get("min_bbox_size", -1)
    sides = boxes[..., 2:] - boxes[..., :2]
    return (sides > smallest).all(-1) if smallest >= 0 else torch.ones_like(sides[..., 0]) > 0


def _joined(parts: list[tuple[Tensor, Tensor, Tensor]]) -> Candidates:
    return Candidates(*(torch.cat(values, 1) for values in zip(*parts, strict=True)))


def _best(found: Candidates, settings: Any, number: int) -> tuple[Tensor, Tensor, Tensor]:
    """The ``number`` highest candidates that suppression within each label leaves."""
    boxes = found.boxes
    if not settings.get("class_agnostic", False):
        # Boxes of different labels are moved so far apart that they do not overlap.
        far = boxes.amax((1, 2), keepdim=True) + 1
        boxes = boxes + found.labels[..., None].to(boxes.dtype) * far
    kept = nms_mask(boxes, found.scores, float(settings.iou_threshold))
    scores = torch.where(kept > 0, found.scores, 0.0)
    if scores.shape[1] < number:
        number = scores.shape[1]
    scores, places = scores.topk(number)
    there = scores > 0
    chosen = _rows(found.boxes, places) * there[..., None]
    return chosen, scores, torch.where(there, found.labels.gather(1, places), NO_LABEL)


def _regions(extractor: Any, maps: Any, boxes: Tensor) -> Tensor:
    """Features of boxes (B, N, 4), each from the level that suits its size (B x N, C, h, w)."""
    images, number = boxes.shape[:2]
    owner = torch.arange(images, device=boxes.device).to(boxes.dtype)
    owner = owner[:, None, None].expand(-1, number, -1)
    rois = torch.cat([owner, boxes], -1).reshape(-1, 5)
    layers = extractor.roi_layers
    levels = extractor.map_roi_levels(rois, len(layers))
    total = None
    for level, layer in enumerate(layers):
        own = roi_align(
            maps[level],
            rois,
            layer.output_size,
            layer.spatial_scale,
            layer.sampling_ratio,
            layer.aligned,
        )
        own = own * (levels == level)[:, None, None, None]
        total = own if total is None else total + own
    assert total is not None
    return total
