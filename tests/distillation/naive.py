"""Distillation losses written out as loops: the yardstick for the vectorised implementations.

Features are lists over levels of float64 tensors (N, C, H, W), the student's already adapted to
the teacher's shape. The truth of one image is (boxes, labels): boxes (x1, y1, x2, y2) in pixels of
the network's input, labels counted from 0. Everything here is a sum over explicit indices, slow
and meant for small sizes.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Box = tuple[float, float, float, float]
Truth = tuple[list[Box], list[int]]
Context = Callable[[Tensor], Tensor]
Convolution = tuple[Tensor, Tensor]


# Shared pieces


def softmax(values: list[float]) -> list[float]:
    """Softmax of a list, shifted by its maximum."""
    top = max(values)
    powers = [math.exp(value - top) for value in values]
    total = sum(powers)
    return [power / total for power in powers]


def cells(height: int, width: int) -> Iterator[tuple[int, int]]:
    """All (y, x) of a grid, row by row."""
    return ((y, x) for y in range(height) for x in range(width))


def absolute_difference(first: Tensor, second: Tensor) -> float:
    """Sum of |first - second| over two tensors of one shape."""
    pairs = zip(first.flatten().tolist(), second.flatten().tolist(), strict=True)
    return math.fsum(abs(a - b) for a, b in pairs)


def squared_difference(first: Tensor, second: Tensor) -> float:
    """Sum of (first - second)^2 over two tensors of one shape."""
    pairs = zip(first.flatten().tolist(), second.flatten().tolist(), strict=True)
    return math.fsum((a - b) ** 2 for a, b in pairs)


def spatial_attention(feature: Tensor, temperature: float) -> Tensor:
    """A^S: (C, H, W) -> (H, W), H*W * softmax over positions of mean_c |F| / t."""
    channels, height, width = feature.shape
    values = feature.tolist()
    energy = [
        sum(abs(values[c][y][x]) for c in range(channels)) / channels / temperature
        for y, x in cells(height, width)
    ]
    attention = [height * width * share for share in softmax(energy)]
    return torch.tensor(attention, dtype=torch.float64).reshape(height, width)


def channel_attention(feature: Tensor, temperature: float) -> Tensor:
    """A^C of FGD: (C, H, W) -> (C,), C * softmax over channels of mean_hw |F| / t."""
    channels, height, width = feature.shape
    values = feature.tolist()
    energy = [
        sum(abs(values[c][y][x]) for y, x in cells(height, width)) / (height * width) / temperature
        for c in range(channels)
    ]
    return torch.tensor([channels * share for share in softmax(energy)], dtype=torch.float64)


def channel_attention_by_position(feature: Tensor, temperature: float) -> Tensor:
    """A^C of PGD: (C, H, W) -> (C, H, W), at each position C * softmax over c of |F| / t."""
    channels, height, width = feature.shape
    values = feature.tolist()
    attention = torch.zeros(channels, height, width, dtype=torch.float64)
    for y, x in cells(height, width):
        shares = softmax([abs(values[c][y][x]) / temperature for c in range(channels)])
        for c in range(channels):
            attention[c, y, x] = channels * shares[c]
    return attention


def masked_difference(
    student: Tensor, teacher: Tensor, mask: Tensor, spatial: Tensor, channel: Tensor
) -> float:
    """Sum of M A^S A^C (S - T)^2 over one image.

    `student`, `teacher`, `channel` are (C, H, W); `mask`, `spatial` are (H, W).
    """
    channels, height, width = student.shape
    s, t, attention = student.tolist(), teacher.tolist(), channel.tolist()
    m, a = mask.tolist(), spatial.tolist()
    total = 0.0
    for c in range(channels):
        for y, x in cells(height, width):
            difference = s[c][y][x] - t[c][y][x]
            total += m[y][x] * a[y][x] * attention[c][y][x] * difference**2
    return total


# PKD


def standardised(feature: Tensor) -> Tensor:
    """(N, C, H, W) with every channel shifted and scaled over batch and positions.

    The scale is the population standard deviation + 1e-6.
    """
    images, channels, height, width = feature.shape
    result = torch.zeros_like(feature)
    for c in range(channels):
        values = feature[:, c].flatten().tolist()
        mean = sum(values) / len(values)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
        scaled = [(value - mean) / (deviation + 1e-6) for value in values]
        result[:, c] = torch.tensor(scaled, dtype=torch.float64).reshape(images, height, width)
    return result


def naive_pkd(student: list[Tensor], teacher: list[Tensor], weight: float) -> float:
    """PKD, Cao et al. 2022: half the mean squared difference of standardised maps.

    `student`, `teacher`: levels of (N, C, H, W). Summed over levels, times `weight`.
    """
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        total += squared_difference(standardised(s), standardised(t)) / s.numel() / 2
    return weight * total


# MGD


def convolved(feature: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """3x3 convolution with zero padding 1: (C, H, W), (D, C, 3, 3), (D,) -> (D, H, W)."""
    channels, height, width = feature.shape
    values, weights, offsets = feature.tolist(), kernel.tolist(), bias.tolist()
    result = torch.zeros(len(offsets), height, width, dtype=torch.float64)
    for d in range(len(offsets)):
        for y, x in cells(height, width):
            total = offsets[d]
            for c in range(channels):
                for i, j in cells(3, 3):
                    row, column = y + i - 1, x + j - 1
                    if 0 <= row < height and 0 <= column < width:
                        total += weights[d][c][i][j] * values[c][row][column]
            result[d, y, x] = total
    return result


def positive_part(feature: Tensor) -> Tensor:
    """ReLU of a tensor of any shape."""
    values = [max(value, 0.0) for value in feature.flatten().tolist()]
    return torch.tensor(values, dtype=torch.float64).reshape(feature.shape)


def naive_mgd(
    student: list[Tensor],
    teacher: list[Tensor],
    alpha: float,
    masks: list[Tensor],
    generators: list[tuple[Convolution, Convolution]],
) -> float:
    """MGD, Yang et al. 2022: alpha * sum of (G(mask * S) - T)^2 / N, summed over levels.

    `student`, `teacher`: levels of (N, C, H, W); `masks`: levels of (N, H, W), 0 where a position
    is zeroed, else 1; `generators`: levels of ((w1, b1), (w2, b2)) with w (C, C, 3, 3), b (C,),
    G being convolution 1, ReLU, convolution 2.
    """
    total = 0.0
    for s, t, mask, (first, second) in zip(student, teacher, masks, generators, strict=True):
        images, channels, height, width = s.shape
        for n in range(images):
            masked = torch.zeros(channels, height, width, dtype=torch.float64)
            for c in range(channels):
                for y, x in cells(height, width):
                    masked[c, y, x] = mask[n, y, x] * s[n, c, y, x]
            generated = convolved(positive_part(convolved(masked, *first)), *second)
            total += alpha * squared_difference(generated, t[n]) / images
    return total


# FGD


def naive_fgd_masks(
    truth_of_one_image: Truth, grid: tuple[int, int], size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """FGD's foreground and background masks of one image at one level, each (H, W).

    `grid` is (H, W) of the level, `size` (height, width) of the network's input in pixels. A box
    covers the cells floor..ceil of its scaled corners, both ends included, each with 1 / (rows *
    columns) of that range, cells beyond the map counted too; the largest value stands. The
    background is 1 outside all boxes, divided by its count. No boxes: foreground 0. No cell
    outside: background 0.
    """
    boxes, _ = truth_of_one_image
    height, width = grid
    foreground = torch.zeros(height, width, dtype=torch.float64)
    covered = set()
    for x1, y1, x2, y2 in boxes:
        left, right = math.floor(x1 * width / size[1]), math.ceil(x2 * width / size[1])
        top, bottom = math.floor(y1 * height / size[0]), math.ceil(y2 * height / size[0])
        value = 1 / ((bottom - top + 1) * (right - left + 1))
        for y, x in cells(height, width):
            if top <= y <= bottom and left <= x <= right:
                foreground[y, x] = max(foreground[y, x].item(), value)
                covered.add((y, x))
    background = torch.zeros(height, width, dtype=torch.float64)
    for y, x in cells(height, width):
        if (y, x) not in covered:
            background[y, x] = 1 / (height * width - len(covered))
    return foreground, background


def normalised(values: list[float], scale: list[float], shift: list[float]) -> list[float]:
    """LayerNorm of a list: population variance, eps 1e-5, then scale and shift."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return [
        (value - mean) / math.sqrt(variance + 1e-5) * g + b
        for value, g, b in zip(values, scale, shift, strict=True)
    ]


def affine(weights: Tensor, bias: Tensor, values: list[float]) -> list[float]:
    """1x1 convolution at one position: (D, C), (D,), C values -> D values."""
    return [
        sum(w * value for w, value in zip(row, values, strict=True)) + b
        for row, b in zip(weights.tolist(), bias.tolist(), strict=True)
    ]


def naive_context(
    feature: Tensor,
    mask_w: Tensor,
    mask_b: float,
    w1: Tensor,
    b1: Tensor,
    ln_w: Tensor,
    ln_b: Tensor,
    w2: Tensor,
    b2: Tensor,
) -> Tensor:
    """FGD's global context: (C, H, W) -> R(F) = F + conv(ReLU(LN(conv(context)))), (C, H, W).

    The context is the mean of F over positions, weighted by softmax over positions of
    `mask_w` . F + `mask_b`. Shapes: mask_w (C,), w1 (C/2, C), b1, ln_w, ln_b (C/2,), w2 (C, C/2),
    b2 (C,). LayerNorm is over the C/2 channels.
    """
    channels, height, width = feature.shape
    values, weights = feature.tolist(), mask_w.tolist()
    positions = list(cells(height, width))
    shares = softmax(
        [sum(weights[c] * values[c][y][x] for c in range(channels)) + mask_b for y, x in positions]
    )
    context = [
        sum(share * values[c][y][x] for share, (y, x) in zip(shares, positions, strict=True))
        for c in range(channels)
    ]
    hidden = normalised(affine(w1, b1, context), ln_w.tolist(), ln_b.tolist())
    added = affine(w2, b2, [max(value, 0.0) for value in hidden])
    result = torch.zeros_like(feature)
    for c in range(channels):
        for y, x in positions:
            result[c, y, x] = values[c][y][x] + added[c]
    return result


def naive_fgd(
    student: list[Tensor],
    teacher: list[Tensor],
    truth: list[Truth],
    size: tuple[int, int],
    alpha: float,
    beta: float,
    gamma: float,
    lambda_: float,
    temperature: float,
    context_blocks: list[tuple[Context, Context]],
) -> float:
    """FGD, Yang et al. 2022: focal, attention and global terms, summed over levels.

    `student`, `teacher`: levels of (N, C, H, W); `truth`: N images; `size` (height, width) of the
    input in pixels; `context_blocks`: levels of (student's R, teacher's R), each mapping
    (C, H, W) to (C, H, W). Every term is a sum divided by N.
    """
    total = 0.0
    for s, t, (student_block, teacher_block) in zip(student, teacher, context_blocks, strict=True):
        images, channels, height, width = s.shape
        for n in range(images):
            foreground, background = naive_fgd_masks(truth[n], (height, width), size)
            spatial = spatial_attention(t[n], temperature)
            channel = channel_attention(t[n], temperature)
            spread = channel.reshape(channels, 1, 1).repeat(1, height, width)
            focal = alpha * masked_difference(s[n], t[n], foreground, spatial, spread)
            focal += beta * masked_difference(s[n], t[n], background, spatial, spread)
            attention = absolute_difference(spatial_attention(s[n], temperature), spatial)
            attention += absolute_difference(channel_attention(s[n], temperature), channel)
            relation = squared_difference(student_block(s[n]), teacher_block(t[n]))
            total += (focal + gamma * attention + lambda_ * relation) / images
    return total


# PGD


def area(box: Box) -> float:
    """Area of (x1, y1, x2, y2), 0 where a side is not positive."""
    x1, y1, x2, y2 = box
    return max(x2 - x1, 0.0) * max(y2 - y1, 0.0)


def overlap(first: Box, second: Box) -> float:
    """IoU of two boxes, 0 where their union has no area."""
    common = area(
        (
            max(first[0], second[0]),
            max(first[1], second[1]),
            min(first[2], second[2]),
            min(first[3], second[3]),
        )
    )
    union = area(first) + area(second) - common
    return common / union if union > 0 else 0.0


def strictly_inside(point: tuple[float, float], box: Box) -> bool:
    """Whether (x, y) lies in the box and not on its border."""
    return box[0] < point[0] < box[2] and box[1] < point[1] < box[3]


def gaussian_weights(chosen: list[tuple[float, float]], variance: float) -> list[float]:
    """exp(-d^2 / 2) of each (x, y), d its Mahalanobis distance under the fitted Gaussian.

    Maximum-likelihood mean and covariance, `variance` added to both diagonal entries.
    """
    count = len(chosen)
    mean_x = sum(x for x, _ in chosen) / count
    mean_y = sum(y for _, y in chosen) / count
    xx = sum((x - mean_x) ** 2 for x, _ in chosen) / count + variance
    yy = sum((y - mean_y) ** 2 for _, y in chosen) / count + variance
    xy = sum((x - mean_x) * (y - mean_y) for x, y in chosen) / count
    determinant = xx * yy - xy**2
    weights = []
    for x, y in chosen:
        dx, dy = x - mean_x, y - mean_y
        squared_distance = (yy * dx**2 - 2 * xy * dx * dy + xx * dy**2) / determinant
        weights.append(math.exp(-squared_distance / 2))
    return weights


def naive_pgd_weights(
    scores: Tensor,
    boxes: Tensor,
    points: Tensor,
    truth_of_one_image: Truth,
    xi: float,
    k: int,
    variance: float,
    extent: tuple[float, float] = (math.inf, math.inf),
    exchanged: bool = False,
) -> Tensor:
    """PGD's foreground weights of one image over the positions of all levels: (P,).

    `scores` (P, classes) are the teacher's probabilities, `boxes` (P, 4) its decoded boxes and
    `points` (P, 2) the positions (x, y), both in pixels. For each true box the `k` positions of
    best quality p^(1-xi) * IoU^xi, never one of quality 0, get the weight of a Gaussian fitted to
    them (`variance` in squared pixels on the diagonal); those not strictly inside the box are then
    dropped. Over boxes the largest weight stands. Positions beyond `extent`, the image's height and
    width, hold nothing. If `exchanged`, (y, x) is asked whether it lies in the box.
    """
    probabilities, decoded = scores.tolist(), [tuple(box) for box in boxes.tolist()]
    places = [tuple(point) for point in points.tolist()]
    result = [0.0] * len(places)
    for box, label in zip(*truth_of_one_image, strict=True):
        quality = [
            probabilities[i][label] ** (1 - xi) * overlap(decoded[i], box) ** xi
            for i in range(len(places))
        ]
        candidates = [
            i
            for i, (x, y) in enumerate(places)
            if quality[i] > 0 and y < extent[0] and x < extent[1]
        ]
        best = sorted(candidates, key=lambda i: quality[i], reverse=True)[:k]
        if not best:
            continue
        weights = gaussian_weights([places[i] for i in best], variance)
        for i, weight in zip(best, weights, strict=True):
            if strictly_inside(places[i][::-1] if exchanged else places[i], box):
                result[i] = max(result[i], weight)
    return torch.tensor(result, dtype=torch.float64)


def naive_pgd_background(
    points: Tensor,
    truth_of_one_image: Truth,
    extent: tuple[float, float] = (math.inf, math.inf),
    exchanged: bool = False,
) -> Tensor:
    """PGD's background map: points (P, 2) -> (P,), 1 where strictly inside no box, else 0.

    Beyond `extent` it is 0 too; `exchanged` as for :func:`naive_pgd_weights`.
    """
    boxes, _ = truth_of_one_image
    outside = []
    for x, y in points.tolist():
        asked = (y, x) if exchanged else (x, y)
        in_box = any(strictly_inside(asked, box) for box in boxes)
        in_image = y < extent[0] and x < extent[1]
        outside.append(1.0 if in_image and not in_box else 0.0)
    return torch.tensor(outside, dtype=torch.float64)


def shared_out(mask: Tensor) -> Tensor:
    """A mask (H, W) divided by its count of non-zeros; all zero stays so."""
    count = sum(value != 0 for value in mask.flatten().tolist())
    return mask / count if count else mask


def naive_pgd_classification(
    student: list[Tensor],
    teacher: list[Tensor],
    foreground: list[Tensor],
    background: list[Tensor],
    alpha: float,
    beta: float,
    delta: float,
    temperature: float,
    together: bool = False,
) -> float:
    """PGD's classification branch, Yang et al. 2022, summed over levels.

    `student`, `teacher`: levels of (N, C, H, W); `foreground`, `background`: levels of (N, H, W),
    not yet divided by their count, which is taken per image and level. The feature terms carry the
    level's weight 1 + 0.25 * index; the attention terms do not. If `together`, every image counts
    by the sum of the masks of all.
    """
    total = 0.0
    for level, (s, t) in enumerate(zip(student, teacher, strict=True)):
        images, _, height, width = s.shape
        for n in range(images):
            spatial = spatial_attention(t[n], temperature)
            channel = channel_attention_by_position(t[n], temperature)
            counted = range(images) if together else [n]
            inside = sum(shared_out(foreground[level][m]) for m in counted)
            outside = sum(shared_out(background[level][m]) for m in counted)
            feature = alpha * masked_difference(s[n], t[n], inside, spatial, channel)
            feature += beta * masked_difference(s[n], t[n], outside, spatial, channel)
            student_spatial = spatial_attention(s[n], temperature)
            student_channel = channel_attention_by_position(s[n], temperature)
            attention = absolute_difference(student_channel, channel) / (height * width)
            attention += absolute_difference(student_spatial, spatial)
            total += ((1 + 0.25 * level) * feature + delta * attention) / images
    return total


def naive_pgd_regression(
    student: list[Tensor],
    teacher: list[Tensor],
    weights: list[Tensor],
    gamma: float,
    delta: float,
    temperature: float,
) -> float:
    """PGD's regression branch, Yang et al. 2022, summed over levels.

    `student`, `teacher`: levels of (N, C, H, W); `weights`: levels of (N, H, W). Means are over the
    positions of positive weight of all images of a level; a level without any gives 0.
    """
    total = 0.0
    for s, t, weight in zip(student, teacher, weights, strict=True):
        images, channels, height, width = s.shape
        feature, attention, count = 0.0, 0.0, 0
        for n in range(images):
            teacher_channel = channel_attention_by_position(t[n], temperature)
            student_channel = channel_attention_by_position(s[n], temperature)
            for y, x in cells(height, width):
                w = weight[n, y, x].item()
                if w <= 0:
                    continue
                count += 1
                difference = [(s[n, c, y, x] - t[n, c, y, x]).item() for c in range(channels)]
                attended = [
                    teacher_channel[c, y, x].item() * difference[c] ** 2 for c in range(channels)
                ]
                feature += w * sum(attended) / channels
                attention += absolute_difference(student_channel[:, y, x], teacher_channel[:, y, x])
        if count:
            total += gamma * feature / count + delta * attention / count
    return total


# LD


def naive_ld(
    student: list[Tensor],
    teacher: list[Tensor],
    positives: list[Tensor],
    weight: float,
    temperature: float,
) -> float:
    """LD, Zheng et al. 2022, where the student learns boxes.

    `student`, `teacher`: levels of logits (N, 4·B, H, W), the B of a side together. `positives`:
    levels of (N, H, W). The divergence of a side is a mean over its B distances and counts a
    quarter; positions and levels are summed.
    """
    total = 0.0
    for s, t, counts in zip(student, teacher, positives, strict=True):
        bins = s.shape[1] // 4
        for n, y, x in counts.nonzero().tolist():
            for side in range(4):
                own = slice(side * bins, (side + 1) * bins)
                p, q = (softmax((z[n, own, y, x] / temperature).tolist()) for z in (t, s))
                divergence = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
                total += float(counts[n, y, x]) * divergence / bins / 4
    return weight * temperature**2 * total


# BCKD


def generalised_overlap(first: Box, second: Box) -> float:
    """GIoU of two boxes that have an area."""
    left, right = min(first[0], second[0]), max(first[2], second[2])
    top, bottom = min(first[1], second[1]), max(first[3], second[3])
    around = (right - left) * (bottom - top)
    common = overlap(first, second)
    union = (area(first) + area(second)) / (1 + common)  # common = shared / union
    return common - (around - union) / around


def naive_bckd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    student_boxes: Tensor,
    teacher_boxes: Tensor,
    inside: list[list[bool]],
    weights: tuple[float, float],
    positives: float,
) -> float:
    """BCKD, Yang et al. 2023, at the priors inside their images.

    Logits (N, P, classes) and boxes (N, P, 4) of both detectors; `inside`: N lists of P; `weights`:
    of classes and boxes; the sum is divided by `positives`.
    """
    total = 0.0
    for n, p in cells(*student_logits.shape[:2]):
        if not inside[n][p]:
            continue
        furthest = 0.0
        for s, t in zip(student_logits[n, p].tolist(), teacher_logits[n, p].tolist(), strict=True):
            own, target = 1 / (1 + math.exp(-s)), 1 / (1 + math.exp(-t))
            entropy = -target * math.log(own) - (1 - target) * math.log(1 - own)
            total += weights[0] * abs(target - own) * entropy
            furthest = max(furthest, abs(target - own))
        boxes = tuple(student_boxes[n, p].tolist()), tuple(teacher_boxes[n, p].tolist())
        total += weights[1] * furthest * (1 - generalised_overlap(*boxes))
    return total / positives
