"""Detections reach the file as the detector gave them, in COCO's terms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from pycocotools import mask as rle

from mtpd.errors import UserError
from mtpd.evaluation.detections import DetectionWriter, json_list


def instances(boxes: list[list[float]], scores: list[float], labels: list[int]) -> InstanceData:
    masks = torch.zeros(len(boxes), 30, 40, dtype=torch.bool)
    for one, (x, y, right, bottom) in zip(masks, boxes, strict=True):
        one[round(y) : round(bottom), round(x) : round(right)] = True
    return InstanceData(
        bboxes=torch.tensor(boxes).reshape(-1, 4),
        scores=torch.tensor(scores),
        labels=torch.tensor(labels, dtype=torch.long),
        masks=masks,
    )


def dumped(folder: Path, *images: InstanceData) -> tuple[list[dict], list[dict]]:
    files = folder / "bbox.json", folder / "segm.json"
    with json_list(files[0]) as boxes, json_list(files[1]) as masks:
        writer = DetectionWriter({"bbox": boxes, "segm": masks}, [7, 3])
        for number, found in enumerate(images, start=5):
            writer.process({}, [{"img_id": number, "pred_instances": found}])
    return json.loads(files[0].read_text()), json.loads(files[1].read_text())


def test_boxes_have_corner_and_sides_and_labels_their_category(tmp_path: Path) -> None:
    found = instances([[1, 2, 4, 8], [0.1, 0, 0.4, 3]], [0.9, 0.3], [1, 0])
    boxes, _ = dumped(tmp_path, instances([], [], []), found)
    assert boxes[0] == {"image_id": 6, "category_id": 3, "bbox": [1, 2, 3, 6], "score": 0.9}
    assert boxes[1]["category_id"] == 7
    assert np.float32(boxes[1]["score"]) == np.float32(0.3)
    assert np.array_equal(
        np.array(boxes[1]["bbox"], np.float32), np.array([0.1, 0, np.float32(0.4) - 0.1, 3], "f4")
    )


def test_masks_come_without_a_box(tmp_path: Path) -> None:
    """Else pycocotools would sort them into sizes by it."""
    found = instances([[1, 2, 4, 8]], [0.5], [0])
    _, (only,) = dumped(tmp_path, found)
    assert only.keys() == {"image_id", "category_id", "segmentation", "score"}
    assert np.array_equal(rle.decode(only["segmentation"]), found.masks[0].numpy())


def test_masks_may_have_scores_of_their_own(tmp_path: Path) -> None:
    found = instances([[1, 2, 4, 8]], [0.5], [0])
    found.mask_scores = torch.tensor([0.25])
    boxes, masks = dumped(tmp_path, found)
    assert (boxes[0]["score"], masks[0]["score"]) == (0.5, 0.25)


def test_nothing_found_is_an_empty_list(tmp_path: Path) -> None:
    assert dumped(tmp_path, instances([], [], [])) == ([], [])
    assert dumped(tmp_path) == ([], [])


@pytest.mark.parametrize("box", [[0, 0, float("nan"), 1], [0, 0, float("inf"), 1]])
def test_what_is_not_finite_is_an_error_and_leaves_no_file(
    tmp_path: Path, box: list[float]
) -> None:
    found = instances([[0, 0, 1, 1]], [0.5], [0])
    found.bboxes = torch.tensor([box])
    with pytest.raises(UserError, match=r"image 5.*not finite"):
        dumped(tmp_path, found)
    assert list(tmp_path.iterdir()) == []
