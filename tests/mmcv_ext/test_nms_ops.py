"""NMS, soft-NMS and NMS with groups against greedy loops over Python numbers."""

import math

import numpy as np
import pytest
import torch
from mmcv.ops import batched_nms, nms, nms_match, soft_nms


def random_boxes(count, dtype=torch.float32):
    """Crowded boxes, some of them partly outside the image, with scores that all differ."""
    corners = torch.rand(count, 2, dtype=torch.float64) * 50 - 10
    boxes = torch.cat([corners, corners + 5 + torch.rand(count, 2) * 30], dim=1).to(dtype)
    scores = (torch.randperm(count) + 1) / (count + 1)
    return boxes, scores.to(dtype)


def iou(a, b, offset):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    areas = [(box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union else 0.0


def greedy_nms(boxes, scores, threshold, offset):
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(iou(boxes[i], boxes[k], offset) <= threshold for k in kept):
            kept.append(i)
    return kept


def greedy_soft_nms(boxes, scores, threshold, sigma, min_score, method, offset):
    scores = dict(enumerate(scores))
    taken = []
    while scores:
        best = max(scores, key=scores.get)
        taken.append((best, scores.pop(best)))
        for i in list(scores):
            overlap = iou(boxes[best], boxes[i], offset)
            if method == "gaussian":
                scores[i] *= math.exp(-(overlap**2) / sigma)
            elif overlap >= threshold:
                scores[i] *= 1 - overlap if method == "linear" else 0
            if scores[i] < min_score:
                del scores[i]
    return taken


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.3, 0.6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nms_keeps_what_the_greedy_loop_keeps(device, offset, threshold, dtype):
    boxes, scores = random_boxes(60, dtype)
    expected = greedy_nms(boxes.tolist(), scores.tolist(), threshold, offset)
    dets, kept = nms(boxes.to(device), scores.to(device), threshold, offset=offset)
    assert kept.tolist() == expected
    assert 0 < len(expected) < 60
    torch.testing.assert_close(dets.cpu(), torch.cat([boxes, scores[:, None]], 1)[expected])


def test_the_offset_decides_at_the_threshold(device):
    # 10 x 10 boxes one pixel apart: IoU 90 / 110 = 0.818 without, 110 / 132 = 0.833 with offset.
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10]], device=device)
    scores = torch.tensor([0.9, 0.8], device=device)
    assert nms(boxes, scores, 0.825, offset=0)[1].tolist() == [0, 1]
    assert nms(boxes, scores, 0.825, offset=1)[1].tolist() == [0]


def test_nms_with_score_threshold_limit_and_numpy_arrays():
    boxes, scores = random_boxes(60)
    survivors = [i for i in greedy_nms(boxes.tolist(), scores.tolist(), 0.5, 0) if scores[i] > 0.3]
    dets, kept = nms(boxes.numpy(), scores.numpy(), 0.5, score_threshold=0.3, max_num=4)
    assert isinstance(dets, np.ndarray)
    assert kept.tolist() == survivors[:4]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_nms_in_half_precision_is_nms_of_the_rounded_boxes(device, dtype):
    boxes, scores = random_boxes(30)
    boxes, scores = boxes.to(dtype), (scores * 30).round().to(dtype)
    expected = greedy_nms(boxes.tolist(), scores.tolist(), 0.5, 0)
    assert nms(boxes.to(device), scores.to(device), 0.5)[1].tolist() == expected


def test_batched_nms_separates_classes(device):
    boxes, scores = random_boxes(60)
    classes = torch.arange(60) % 3
    expected = []
    for label in range(3):
        rows = (classes == label).nonzero()[:, 0]
        kept = greedy_nms(boxes[rows].tolist(), scores[rows].tolist(), 0.5, 0)
        expected += rows[kept].tolist()
    inputs = (tensor.to(device) for tensor in (boxes, scores, classes))
    dets, kept = batched_nms(*inputs, {"type": "nms", "iou_threshold": 0.5})
    assert kept.tolist() == sorted(expected, key=lambda i: -scores[i])
    torch.testing.assert_close(dets[:, :4].cpu(), boxes[kept.cpu()])


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@pytest.mark.parametrize("offset", [0, 1])
def test_soft_nms_takes_and_lowers_as_the_loop_does(device, method, offset):
    boxes, scores = random_boxes(40, torch.float64)
    settings = (0.3, 0.5, 0.05, method, offset)
    expected = greedy_soft_nms(boxes.tolist(), scores.tolist(), *settings)
    dets, kept = soft_nms(boxes.to(device), scores.to(device), *settings)
    assert kept.tolist() == [i for i, _ in expected]
    assert 1 < len(expected) < 40
    lowered = torch.tensor([score for _, score in expected], dtype=torch.float64)
    torch.testing.assert_close(dets[:, 4].cpu(), lowered)
    torch.testing.assert_close(dets[:, :4].cpu(), boxes[[i for i, _ in expected]])


def test_soft_nms_keeps_the_best_box_whatever_its_score():
    boxes, _ = random_boxes(3)
    dets, kept = soft_nms(boxes, torch.tensor([0.01, 0.03, 0.02]), min_score=0.5)
    assert kept.tolist() == [1]
    assert dets[0, 4].item() == pytest.approx(0.03)


def test_soft_nms_leaves_the_callers_scores_alone():
    boxes, scores = random_boxes(20)
    before = scores.clone()
    soft_nms(boxes, scores, iou_threshold=0.1, method="linear")
    assert torch.equal(scores, before)


def test_boxes_without_area_suppress_nothing():
    boxes = torch.tensor([[3.0, 1, 3, 1]] * 3)
    scores = torch.tensor([0.3, 0.2, 0.1])
    assert nms(boxes, scores, 0.5)[1].tolist() == [0, 1, 2]
    for method in ("naive", "linear", "gaussian"):
        dets, kept = soft_nms(boxes, scores, method=method)
        assert kept.tolist() == [0, 1, 2]
        torch.testing.assert_close(dets[:, 4], scores)
    assert [group.tolist() for group in nms_match(torch.cat([boxes, scores[:, None]], 1), 0.5)] == [
        [0],
        [1],
        [2],
    ]


def test_nms_match_tells_who_suppressed_whom():
    boxes, scores = random_boxes(40)
    dets = torch.cat([boxes, scores[:, None]], dim=1)
    by_score = sorted(range(40), key=lambda i: -scores[i])
    expected = []
    while by_score:
        leader = by_score[0]
        group = [i for i in by_score if iou(dets[leader].tolist(), dets[i].tolist(), 0) >= 0.4]
        expected.append(group)
        by_score = [i for i in by_score if i not in group]
    assert [group.tolist() for group in nms_match(dets, 0.4)] == expected
    assert any(len(group) > 1 for group in expected)


def test_no_boxes_at_all(device):
    boxes, scores = torch.zeros(0, 4, device=device), torch.zeros(0, device=device)
    for suppress in (nms, soft_nms):
        dets, kept = suppress(boxes, scores, 0.5)
        assert dets.shape == (0, 5)
        assert kept.shape == (0,)
        assert kept.dtype == torch.int64
    assert nms_match(torch.zeros(0, 5), 0.5) == []
